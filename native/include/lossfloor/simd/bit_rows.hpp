// What the solver and the curve do with rows of bits. The functions are part of the table of kernels (kernels.hpp).
//
// Rows are looked at in chunks of `kChunk` words; the last chunk of a row may be shorter.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lossfloor {

constexpr std::size_t kChunk = 8;

// One word of a row to be packed: if width < 64, the masked bits compressed to the low `width` bits (pext); if 64, the
// masked word unchanged.
struct Piece {
  std::uint32_t word;
  std::uint32_t width;
  std::uint64_t mask;
};

struct BitRows {
  // Moves the bits that a row of `words` words shares with `unvisited` from there to `alive`, in the `n_open` chunks
  // listed in `open`, and writes their places to `found`, which has room for all of them; returns how many. Chunks in
  // which nothing is left unvisited leave the list.
  std::size_t (*visit)(const std::uint64_t* row, std::size_t words, std::uint64_t* unvisited, std::uint64_t* alive,
                       std::uint32_t* open, std::size_t* n_open, std::int32_t* found);
  // The first k from `begin` on for which the row meets `alive` in chunk chunks[k], or `count`. Then *place is that of
  // the first bit that they share there.
  std::size_t (*meet)(const std::uint64_t* row, std::size_t words, const std::uint64_t* alive,
                      const std::uint32_t* chunks, std::size_t begin, std::size_t count, std::int32_t* place);
  // Writes some pieces of a row, one behind the other, to `out`. Masks with more bits than `most_packed`
  // are better left with a width of 64.
  void (*pack)(const std::uint64_t* row, const Piece* pieces, std::size_t count, std::uint64_t* out);
  int most_packed;
  // Bits of out[k * stride + w], for each k < count and w < strips: which of the 64 bytes from row[64 * w] on are at
  // most `first` + k.
  void (*at_most)(const std::uint8_t* row, std::size_t strips, int first, std::size_t count, std::uint64_t* out,
                  std::size_t stride);
  // Transposes 64 x 64 bits in place: bit c of block[r] becomes bit r of block[c].
  void (*transpose)(std::uint64_t* block);
};

}  // namespace lossfloor
