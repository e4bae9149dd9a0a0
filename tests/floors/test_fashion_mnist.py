"""Real data: Fashion-MNIST, class 3 against 7, the first 5000 training images of each, Euclidean distance."""

from __future__ import annotations

from fractions import Fraction

import pytest

import lossfloor as lf

#: Conflicts, cross-entropy in nats (None where no independent value is known) and 0-1 loss, for each eps in [0, 1]
#: pixels.  The counts and losses were found by separate code: brute force in integers, and SciPy's max-flow.
KNOWN: dict[float, tuple[int, float | None, Fraction | None]] = {
    3.0: (12_748, 0.029451751, Fraction("0.0145")),
    3.6: (131_437, None, None),
    4.0: (419_374, 0.164196624, Fraction("0.0838")),
    4.6: (1_714_368, 0.305141940, Fraction("0.1467")),
    5.0: (3_503_695, 0.401059084, Fraction("0.1968")),
    5.6: (7_614_428, 0.520752243, Fraction("0.2813")),
}


@pytest.fixture(scope="module")
def data() -> lf.Dataset:
    return lf.load("fashion-mnist", classes=(3, 7), n_per_class=5000)


@pytest.mark.parametrize("eps", KNOWN)
def test_the_known_floors_with_their_proofs(data: lf.Dataset, eps: float) -> None:
    n_edges, cross_entropy, zero_one = KNOWN[eps]
    result = lf.floor(data.X, data.y, lf.L2(eps, unit=data.unit))
    assert result.n_examples == 10_000
    assert result.n_edges == n_edges
    if cross_entropy is not None:
        assert result.cross_entropy == pytest.approx(cross_entropy, abs=1e-9)
        assert result.exact_loss("zero_one") == zero_one
    assert result.status == "exact"
    verification = result.verify()
    assert verification.zero_one == result.exact_loss("zero_one")
    assert verification.brier == result.exact_loss("brier")
    assert verification.cross_entropy == pytest.approx(result.cross_entropy, rel=1e-14)
