// What is done with rows of bits, in plain C++; included like kernels_plain.inl, and under the same rules.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lossfloor/simd/bit_rows.hpp"

namespace lossfloor {
namespace {

// Sixty-four bytes of 0 or 1 into one word.
std::uint64_t gather_bits(const std::uint8_t* flags) {
  std::uint64_t word = 0;
  for (std::size_t byte = 0; byte < 8; ++byte) {
    std::uint64_t eight = 0;
    for (std::size_t e = 0; e < 8; ++e) eight |= std::uint64_t{flags[byte * 8 + e]} << e;
    word |= eight << (8 * byte);
  }
  return word;
}

std::uint64_t at_most_u8_plain(const std::uint8_t* bytes, std::uint8_t limit) {
  std::uint8_t flags[64];
  for (std::size_t c = 0; c < 64; ++c) flags[c] = bytes[c] <= limit;
  return gather_bits(flags);
}

std::int32_t lowest_bit(std::uint64_t word) { return static_cast<std::int32_t>(__builtin_ctzll(word)); }

std::size_t words_in(std::size_t chunk, std::size_t words) {
  const std::size_t rest = words - chunk * kChunk;
  return rest < kChunk ? rest : kChunk;
}

std::int32_t* list_bits(std::uint64_t word, std::size_t index, std::int32_t* out) {
  const auto base = static_cast<std::int32_t>(64 * index);
  for (; word != 0; word &= word - 1) *out++ = base + lowest_bit(word);
  return out;
}

// `visit` in some words, which moves `end` past the places that it writes. True if something is left unvisited there.
bool visit_words(const std::uint64_t* row, std::size_t first, std::size_t last, std::uint64_t* unvisited,
                 std::uint64_t* alive, std::int32_t*& end) {
  std::uint64_t left = 0;
  for (std::size_t i = first; i < last; ++i) {
    const std::uint64_t fresh = row[i] & unvisited[i];
    left |= unvisited[i] &= ~fresh;
    if (fresh == 0) continue;
    alive[i] |= fresh;
    end = list_bits(fresh, i, end);
  }
  return left != 0;
}

// `meet` in some words. True if the row meets `alive` there.
bool meet_words(const std::uint64_t* row, std::size_t first, std::size_t last, const std::uint64_t* alive,
                std::int32_t* place) {
  for (std::size_t i = first; i < last; ++i) {
    if (const std::uint64_t hit = row[i] & alive[i]) {
      *place = static_cast<std::int32_t>(64 * i) + lowest_bit(hit);
      return true;
    }
  }
  return false;
}

std::size_t visit_plain(const std::uint64_t* row, std::size_t words, std::uint64_t* unvisited, std::uint64_t* alive,
                        std::uint32_t* open, std::size_t* n_open, std::int32_t* found) {
  std::int32_t* end = found;
  for (std::size_t k = 0; k < *n_open;) {
    const std::size_t first = open[k] * kChunk;
    const std::size_t last = first + words_in(open[k], words);
    if (visit_words(row, first, last, unvisited, alive, end)) {
      ++k;
    } else {
      open[k] = open[--*n_open];
    }
  }
  return static_cast<std::size_t>(end - found);
}

std::size_t meet_plain(const std::uint64_t* row, std::size_t words, const std::uint64_t* alive,
                       const std::uint32_t* chunks, std::size_t begin, std::size_t count, std::int32_t* place) {
  for (std::size_t k = begin; k < count; ++k) {
    const std::size_t first = chunks[k] * kChunk;
    const std::size_t last = first + words_in(chunks[k], words);
    if (meet_words(row, first, last, alive, place)) return k;
  }
  return count;
}

// Writes the low `count` bits of words one behind the other.
class BitWriter {
 public:
  explicit BitWriter(std::uint64_t* out) : out_(out) {}
  // Without branches, as whether a word gets full is hard to foresee.
  void add(std::uint64_t bits, unsigned count) {
    word_ |= bits << filled_;
    *out_ = word_;
    const std::uint64_t rest = (bits >> 1) >> (63 - filled_);
    const unsigned full = (filled_ + count) / 64;
    word_ = full != 0 ? rest : word_;
    out_ += full;
    filled_ = (filled_ + count) % 64;
  }
  void finish() {
    if (filled_ > 0) *out_ = word_;
  }

 private:
  std::uint64_t* out_;
  std::uint64_t word_ = 0;
  unsigned filled_ = 0;
};

void pack_plain(const std::uint64_t* row, const Piece* pieces, std::size_t count, std::uint64_t* out) {
  BitWriter writer(out);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t word = row[pieces[i].word] & pieces[i].mask;
    if (pieces[i].width < 64) {
      std::uint64_t packed = 0;
      unsigned to = 0;
      for (std::uint64_t mask = pieces[i].mask; mask != 0; mask &= mask - 1) {
        packed |= ((word >> lowest_bit(mask)) & 1) << to++;
      }
      word = packed;
    }
    writer.add(word, pieces[i].width);
  }
  writer.finish();
}

void at_most_rows_plain(const std::uint8_t* row, std::size_t strips, int first, std::size_t count, std::uint64_t* out,
                        std::size_t stride) {
  for (std::size_t w = 0; w < strips; ++w) {
    for (std::size_t k = 0; k < count; ++k) {
      out[k * stride + w] = at_most_u8_plain(row + 64 * w, static_cast<std::uint8_t>(first + static_cast<int>(k)));
    }
  }
}

void transpose_plain(std::uint64_t* block) {
  std::uint64_t mask = 0x00000000FFFFFFFFULL;
  for (std::size_t step = 32; step != 0; step >>= 1, mask ^= mask << step) {
    for (std::size_t k = 0; k < 64; k = ((k | step) + 1) & ~step) {
      const std::uint64_t swapped = ((block[k] >> step) ^ block[k | step]) & mask;
      block[k] ^= swapped << step;
      block[k | step] ^= swapped;
    }
  }
}

constexpr BitRows plain_bit_rows() {
  BitRows table{};
  table.visit = visit_plain;
  table.meet = meet_plain;
  table.pack = pack_plain;
  table.most_packed = 8;
  table.at_most = at_most_rows_plain;
  table.transpose = transpose_plain;
  return table;
}

}  // namespace
}  // namespace lossfloor
