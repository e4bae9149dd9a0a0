"""The ways to compute distances of pairs, and the choice of one for given data.

A *route* turns two sets of examples into arrays that one kernel of the core reads, together with a bound on the
rounding error of the keys that the kernel computes.  A key is the squared distance for l2, the sum of p-th powers for
lp, and the distance itself for l1 and linf.

Bounds (u is 2^-24 for float32 and 2^-53 for float64, gamma_k = k u / (1 - k u)):

- Integers: every sum is exact, the bound is 0.
- l1, linf, lp on floats: each |a - b| is rounded once, which the p-th power makes p roundings, the power itself costs p
  roundings more, and the sum of d terms d, so the key is right up to the relative error gamma_{d + 2p + 4}.  A p that
  is no double, such as 4/3, is rounded too: x^p is then off by |log x| p u more, where |log x| < 750 for all doubles.
- Underflow.  A difference of floats, and a sum of them, that is below all normal floats is exact, so l1 and linf lose
  nothing as long as they are not scaled.  What is scaled by a power of two loses at most 2^-1075 an entry.  For lp the
  entries are scaled to at most 1/2, so that |a - b| <= 1, no key overflows, and an error of 2^-1074 in |a - b| moves
  its power by at most p 2^-1074 < 2^-1060.5, since p <= 10 000; a power that underflows is off by another 2^-1074, by
  16 of them where it is a product of up to 16 factors.  All that is below the absolute bound d 2^-1060, which matters
  at every scale: powers of 0.02 underflow for p = 200.
- Integers of 2^53 and more are rounded when they become doubles: an absolute error of 2^-53 of the largest of them.
- l2 on floats goes by products.  Examples are scaled by a power of two (exact) and centred in double precision, then
  rounded to the kernel's type: entry by entry a relative error of kappa = u + 2^-52.  With a, b the rounded examples
  and s = |a|^2 + |b|^2, the product is off by gamma_{c+8} |a||b| <= gamma_{c+8} s / 2, where c is how often a product
  of entries is rounded on its way through the sum, which goes by chunks of the features; the squares (in double) by
  2^-53 (d+8) s, and the rounding of the examples moves the squared distance by at most kappa (2 + kappa) (|a| + |b|)^2
  <= 2 kappa (2 + kappa) s.  The sum of these is the relative bound on s that the kernel uses.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import _core
from lossfloor.distances.rows import Rows
from lossfloor.exact import Order

_U32 = 2.0**-24
_U64 = 2.0**-53
_SAFETY = 1.01  # for the rounding of the bounds themselves

#: The most instructions that kernels may use: those of "portable", of "avx2" or of "avx512", where the processor has
#: them.
BEST = "avx512"

Strips = _core.StripsU8 | _core.StripsI16 | _core.StripsF32 | _core.StripsF64


@dataclasses.dataclass(frozen=True)
class Centring:
    """How examples become those that a product kernel reads: scaled by ``2**-exponent``, less a centre, rounded."""

    exponent: int
    centre: npt.NDArray[np.float64]
    dtype: npt.DTypeLike

    def __call__(self, rows: npt.NDArray[Any], threads: int) -> npt.NDArray[Any]:
        """Return some examples as the kernel reads them."""
        if rows.dtype == self.dtype == np.float32:
            return _core.centred(rows, self.centre, math.ldexp(1.0, -self.exponent), threads)
        scaled = np.ldexp(rows.astype(np.float64), -self.exponent)
        scaled -= self.centre
        return scaled.astype(self.dtype)


@dataclasses.dataclass(frozen=True)
class Route:
    """Two sets of examples and how a kernel computes their distances.

    Attributes
    ----------
    name : str
        What the route is, for people.
    metric : str
        "l1", "l2", "linf" or "lp".
    left, right : ndarray, shape (n, d) and (m, d)
        The examples as the kernel reads them (of one dtype), or before the centring if there is one.  `Rows` where
        the kernel looks for them in the data.
    scale : Fraction
        Distances of what the kernel reads are those of the data times this power of two.
    relative, absolute : float
        The key is right up to ``relative * s + absolute``, with s as in the module's text.
    ranking : ndarray of int32, shape (d,), optional
        The features in the order in which differences tell early that a pair is far apart.
    centring : Centring, optional
        What makes `left` and `right` what the kernel reads; done piece by piece, when a piece is needed.
    """

    name: str
    metric: str
    left: Any
    right: Any
    scale: Fraction = Fraction(1)
    relative: float = 0.0
    absolute: float = 0.0
    ranking: npt.NDArray[np.int32] | None = None
    centring: Centring | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the entries that the kernel reads."""
        return np.dtype(self.right.dtype if self.centring is None else self.centring.dtype)

    @property
    def exact_keys(self) -> bool:
        """Whether keys are integers without any rounding."""
        return self.relative == 0.0 and self.absolute == 0.0

    def rows(self, start: int, stop: int, threads: int) -> Any:
        """Return some left-hand examples as the kernel reads them."""
        if isinstance(self.left, Rows):
            return self.left.part(start, stop)
        rows = self.left[start:stop]
        return rows if self.centring is None else self.centring(rows, threads)

    def strips(self, p: float, threads: int, isa: str = BEST) -> Strips:
        """Hand the right-hand examples to the core; `isa` is the most that its kernels may use."""
        kinds: dict[Any, Any] = {
            np.uint8: _core.StripsU8,
            np.int16: _core.StripsI16,
            np.float32: _core.StripsF32,
            np.float64: _core.StripsF64,
        }
        if isinstance(self.right, Rows):
            return _core.StripsU8(self.metric, self.right.data, p, None, isa, self.right.places)
        right = self.right if self.centring is None else self.centring(self.right, threads)
        made: Strips = kinds[right.dtype.type](self.metric, right, p, self.ranking, isa)
        return made


def gamma(count: float, unit: float) -> float:
    """Return the bound on the relative error of `count` roundings."""
    return count * unit / (1 - count * unit) if count * unit < 0.5 else np.inf


def roundings_of_power(order: Order) -> float:
    """Return how many roundings a p-th power of a rounded number counts for."""
    if order is None or order == 1:
        return 1.0
    p = float(order)
    return 2 * p if Fraction(p) == order else 752 * p


def choose(order: Order, left: Any, right: Any, *, precise: bool = False, isa: str = BEST) -> Route:
    """Choose the fastest route that fits the data.

    Parameters
    ----------
    order : Fraction or None
        p of the norm; None is the maximum norm.
    left, right : ndarray, shape (n, d) and (m, d)
        Integers, float32 or float64; `Rows` if `looks_for_rows`.
    precise : bool
        Use double precision where single would do: slower, with fewer pairs left open.
    isa : str
        The most instructions that kernels may use.

    Returns
    -------
    Route
    """
    integers = as_integers(left, right)
    if order == 2:
        if integers is not None:
            if multiplies_bytes(left.shape[1], isa):
                route = _uint8_products(*integers)
                if route is not None:
                    return route
            route = _int16_products(*integers)
            if route is not None:
                return route
            route = _whole_float64_products(*integers)
            if route is not None:
                return route
        return _float_products(left, right, np.float64 if precise else np.float32, isa)
    if integers is not None and order in (1, None):
        route = _uint8_folds(order, *integers)
        if route is not None:
            return route
    return _float_folds(order, left, right, integers)


def looks_for_rows(order: Order, left: Rows | npt.NDArray[Any], right: Rows | npt.NDArray[Any], isa: str) -> bool:
    """Tell whether the route reads `Rows` where they are, without a copy of them."""
    return order == 2 and left.dtype == right.dtype == np.uint8 and multiplies_bytes(left.shape[1], isa)


def multiplies_bytes(features: int, isa: str) -> bool:
    """Tell whether the processor multiplies bytes, and squared distances of so many features fit int32."""
    return _core.multiplies_bytes(isa) and 255**2 * features < 2**31


def as_integers(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
    """Return the data as integers below 2^53 if every entry is a whole number, however it is stored."""
    whole = []
    for side in (left, right):
        if np.issubdtype(side.dtype, np.integer):
            if side.dtype.itemsize == 8 and side.size and max(abs(int(side.min())), abs(int(side.max()))) >= 2**53:
                return None
            whole.append(side)
        else:
            # A look at a few rows settles most cases without a pass over all of them.
            few = side[: min(len(side), 4)]
            if np.any(few != np.rint(few)) or np.any(side != np.rint(side)) or np.any(np.abs(side) >= 2.0**31):
                return None
            whole.append(side.astype(np.int64))
    return whole[0], whole[1]


def _ranges(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> tuple[Any, Any]:
    """Return the smallest and the largest entry of each feature, as int64."""
    low = np.minimum(left.min(axis=0).astype(np.int64), right.min(axis=0).astype(np.int64))
    high = np.maximum(left.max(axis=0).astype(np.int64), right.max(axis=0).astype(np.int64))
    return low, high


def _shifted(side: npt.NDArray[Any], shift: npt.NDArray[np.int64], dtype: type[np.generic]) -> npt.NDArray[Any]:
    """Subtract whole numbers, feature by feature, where the differences are known to fit `dtype`."""
    if side.dtype.itemsize <= 2 and dtype == np.int16:
        # Differences that fit are right modulo 2^16 whatever happens on the way.
        return np.subtract(side.astype(np.int16, copy=False), shift.astype(np.int16))
    return (side.astype(np.int64, copy=False) - shift).astype(dtype)


def _uint8_products(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Route | None:
    # Sums on the way are right modulo 2^32.
    sides = _as_bytes(left, right)
    return None if sides is None else Route("uint8 products, exact", "l2", *sides)


def _as_bytes(
    left: npt.NDArray[Any], right: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]] | None:
    """Return the data less the least entry of each feature, if that fits bytes."""
    if left.dtype == right.dtype == np.uint8:
        return left, right
    low, high = _ranges(left, right)
    if int((high - low).max()) > 255:
        return None
    return _shifted(left, low, np.uint8), _shifted(right, low, np.uint8)


def _int16_products(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Route | None:
    low, high = _ranges(left, right)
    if int((high - low).max()) > 2**14:
        return None
    # A centre near the mean makes the rests of the projection filter small.
    samples = [side[:: max(1, len(side) // 256)].astype(np.float64) for side in (left, right)]
    middle = np.rint((samples[0].mean(axis=0) + samples[1].mean(axis=0)) / 2).astype(np.int64)
    sides = [_shifted(side, middle, np.int16) for side in (left, right)]
    # (|a| + |b|)^2 <= 2 (|a|^2 + |b|^2) keeps squared distances and all partial sums inside int32.
    widest = np.maximum(high - middle, middle - low)
    if 4 * int(np.square(widest).sum()) >= 2**31:
        norms = [max(int(n) for n in _squared_norms(side)) for side in sides]
        if 2 * (norms[0] + norms[1]) >= 2**31:
            return None
    return Route("int16 products, exact", "l2", sides[0], sides[1])


def _squared_norms(side: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    norms = np.empty(len(side), dtype=np.int64)
    for start in range(0, len(side), 1024):
        piece = side[start : start + 1024].astype(np.int64)
        norms[start : start + 1024] = np.einsum("ij,ij->i", piece, piece)
    return norms


def _whole_float64_products(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Route | None:
    low, high = _ranges(left, right)
    middle = (low + high) // 2
    sides = [_shifted(side, middle, np.float64) for side in (left, right)]
    norms = [float(np.einsum("ij,ij->i", s, s).max()) for s in sides]
    if 2 * (norms[0] + norms[1]) >= 2.0**52:  # every partial sum is a whole number below 2^53
        return None
    return Route("float64 products of whole numbers, exact", "l2", sides[0], sides[1])


def exponent_of(*sides: npt.NDArray[Any]) -> int:
    """Return e with every entry at most ``2**e`` in size."""
    # Not abs(side): the smallest int64 has none, and no memory is needed this way.
    largest = max(max(float(side.max()), -float(side.min())) for side in sides)
    return 0 if largest == 0 else int(np.frexp(largest)[1])


def _float_products(left: npt.NDArray[Any], right: npt.NDArray[Any], dtype: type[np.floating[Any]], isa: str) -> Route:
    d = left.shape[1]
    exponent = exponent_of(left, right)
    # Any centre will do; one near the mean makes the squares, and with them the rounding, small.
    samples = [side[:: max(1, len(side) // 256)].astype(np.float64) for side in (left, right)]
    centre = (np.ldexp(samples[0], -exponent).mean(axis=0) + np.ldexp(samples[1], -exponent).mean(axis=0)) / 2
    u = _U32 if dtype is np.float32 else _U64
    kappa = u + 2 * _U64
    roundings = _core.product_roundings(d, dtype is np.float64, isa)
    relative = _SAFETY * (gamma(roundings + 8, u) + 2 * kappa * (2 + kappa) + _U64 * (d + 8))
    # Underflow, in the scaling, in the rounding to `dtype` and in the products of entries below 1 in size.
    absolute = d * (2.0**-140 if dtype is np.float32 else 2.0**-1060)
    # Both entries are off by 2^-53 at most, and their difference is at most 2.
    absolute += d * 2.0**-49 if _conversion_rounds(exponent, left, right) else 0.0
    name = "float32 products" if dtype is np.float32 else "float64 products"
    return Route(
        f"{name}, doubtful pairs decided again",
        "l2",
        left,
        right,
        _two_to(-exponent),
        relative,
        absolute,
        centring=Centring(exponent, centre, dtype),
    )


def _conversion_rounds(exponent: int, *sides: npt.NDArray[Any]) -> bool:
    """Tell whether entries of at most ``2**exponent`` may change when they become doubles."""
    return exponent > 53 and any(side.dtype.kind in "iu" for side in sides)


def _two_to(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


def _uint8_folds(order: Order, left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Route | None:
    sides = _as_bytes(left, right) if 255 * left.shape[1] < 2**31 else None
    if sides is None:
        return None
    if order is None:
        return Route("uint8 maxima, telling features first, exact", "linf", *sides, ranking=_ranking(*sides))
    return Route("uint8 sums, abandoned early, exact", "l1", *sides, ranking=_ranking(*sides))


def _ranking(*sides: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Order the features by how far they tell the two sides apart, so that a pair is decided after few of them."""
    first, second = (side[:: max(1, len(side) // 128)][:128].astype(np.float64) for side in sides)
    with np.errstate(over="ignore", invalid="ignore"):
        # The mean of (a - b)^2 over all pairs of the samples.
        apart = first.var(axis=0) + second.var(axis=0) + np.square(first.mean(axis=0) - second.mean(axis=0))
    return np.argsort(-apart, kind="stable").astype(np.int32)


def _float_folds(
    order: Order,
    left: npt.NDArray[Any],
    right: npt.NDArray[Any],
    integers: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None,
) -> Route:
    d = left.shape[1]
    metric = {Fraction(1): "l1", None: "linf"}.get(order, "lp")
    if integers is not None:
        low, high = _ranges(*integers)
        widest = int((high - low).max())
        whole_power = order is None or (order.denominator == 1 and order.numerator <= 16)
        power = 1 if order is None else order
        if whole_power and d * Fraction(widest) ** power < 2**53:
            whole = [side.astype(np.float64) for side in integers]
            return Route("float64 sums of whole numbers, exact", metric, whole[0], whole[1], ranking=_ranking(*whole))
    exponent = exponent_of(left, right)
    single = left.dtype == right.dtype == np.float32 and metric != "lp" and exponent < 100
    dtype: type[np.floating[Any]] = np.float32 if single else np.float64
    u = _U32 if single else _U64
    # lp needs differences of at most 1 against overflow of powers; the others only when a sum could overflow.
    shift = exponent + 1 if metric == "lp" or (not single and exponent > 960) else 0
    sides = [side.astype(dtype) if shift == 0 else np.ldexp(side.astype(dtype), -shift) for side in (left, right)]
    relative = _SAFETY * gamma((1 if metric == "linf" else d) + roundings_of_power(order) + 4, u)
    scaled = metric == "lp" or shift != 0  # an lp of entries of about 1/2 has a shift of 0, and powers that underflow
    absolute = d * 2.0**-1060 if scaled else 0.0
    if _conversion_rounds(exponent, left, right):
        # The differences are right only up to this; those of lp are at most 1, which their powers keep.
        conversion = 4.0 * float(np.ldexp(1.0, exponent - shift - 53))
        p = 1.0 if order is None else float(order)
        absolute += d * conversion * p * (1 + conversion) ** (p - 1)
    return Route(
        f"{np.dtype(dtype).name} {'maxima' if metric == 'linf' else 'sums'}, doubtful pairs decided again",
        metric,
        sides[0],
        sides[1],
        _two_to(-shift),
        relative,
        absolute,
        _ranking(*sides),
    )
