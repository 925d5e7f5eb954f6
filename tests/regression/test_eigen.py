import pytest
import torch

from layerwise.regression import eigen
from layerwise.regression.eigen import BLOCK, WIDE_BLOCK, by_squaring, leading_eigenvectors, shifted_cholesky_qr


def matrices(rng, batch, m, spectrum):
    bases = torch.linalg.qr(torch.as_tensor(rng.standard_normal((batch, m, m)))).Q
    return (bases * torch.as_tensor(spectrum)) @ bases.mT, bases


@pytest.fixture(params=["block", "block, as on a GPU", "squaring"])
def leading(request, monkeypatch):
    if request.param == "block, as on a GPU":
        monkeypatch.setattr(eigen, "_orthonormal", shifted_cholesky_qr)
        monkeypatch.setattr(eigen, "_width", lambda S: WIDE_BLOCK)
    return by_squaring if request.param == "squaring" else lambda S: leading_eigenvectors(S)[:2]


@pytest.mark.parametrize("m", [1, 2, 2 * BLOCK, 2 * BLOCK + 1, 60, 200])
@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_vector_and_value_are_the_leading_ones(rng, leading, m, decay):
    spectrum = decay ** torch.arange(m, dtype=torch.float64)
    S, bases = matrices(rng, 3, m, spectrum)
    vectors, values = leading(S)
    torch.testing.assert_close(values, torch.ones(3, dtype=torch.float64), rtol=1e-10, atol=0)
    overlap = (vectors * bases[..., 0]).sum(1).abs()
    torch.testing.assert_close(overlap, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("gap", [1e-3, 1e-6])
def test_near_equal_leading_eigenvalues_are_told_apart(rng, leading, gap):
    spectrum = torch.linspace(0.5, 0.0, 100, dtype=torch.float64)
    spectrum[0], spectrum[1] = 1, 1 - gap
    S, bases = matrices(rng, 4, 100, spectrum)
    vectors, _ = leading(S)
    overlap = (vectors * bases[..., 0]).sum(1).abs()
    assert (1 - overlap).max() < (1e-11 / gap) ** 2 + 1e-13


def test_more_equal_leading_eigenvalues_than_the_block_holds(rng, leading):
    spectrum = torch.cat([torch.ones(3 * BLOCK), torch.full((40,), 0.1)]).double()
    S, _ = matrices(rng, 2, len(spectrum), spectrum)
    vectors, values = leading(S)
    residual = torch.linalg.vector_norm((S @ vectors[..., None])[..., 0] - values[:, None] * vectors, dim=1)
    assert residual.max() < 1e-11
    torch.testing.assert_close(values, torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("m", [8, 60, 500])
@pytest.mark.parametrize("width", [BLOCK, WIDE_BLOCK])
@pytest.mark.parametrize("condition", [1.0, 1e8, 1e14, float("inf")])
def test_cholesky_gives_the_basis_that_qr_gives(rng, m, width, condition):
    width = min(m, width)
    left, _ = torch.linalg.qr(torch.as_tensor(rng.standard_normal((3, m, width))))
    right, _ = torch.linalg.qr(torch.as_tensor(rng.standard_normal((3, width, width))))
    scales = [condition ** -(column / (width - 1)) for column in range(width)]  # 1, and zeros, if infinite
    block = (left * torch.tensor(scales, dtype=torch.float64)) @ right
    basis = shifted_cholesky_qr(block)
    identity = torch.eye(width, dtype=torch.float64).expand(3, -1, -1)
    torch.testing.assert_close(basis.mT @ basis, identity, rtol=0, atol=1e-13)
    torch.testing.assert_close(basis @ (basis.mT @ block), block, rtol=0, atol=1e-12)


def test_cholesky_gives_a_basis_of_nothing():
    basis = shifted_cholesky_qr(torch.zeros(2, 30, BLOCK, dtype=torch.float64))
    torch.testing.assert_close(basis.mT @ basis, torch.eye(BLOCK, dtype=torch.float64).expand(2, -1, -1))


def test_full_decomposition_takes_over_when_rounds_run_out(rng, leading, monkeypatch):
    spectrum = 0.999 ** torch.arange(120, dtype=torch.float64)
    S, bases = matrices(rng, 3, 120, spectrum)
    monkeypatch.setattr(eigen, "ROUNDS", 1)
    monkeypatch.setattr(eigen, "SQUARINGS", (2,))
    vectors, values = leading(S)
    assert ((vectors * bases[..., 0]).sum(1).abs() - 1).abs().max() < 1e-10
    torch.testing.assert_close(values, torch.ones(3, dtype=torch.float64))


def test_scale_does_not_matter_and_zero_is_allowed(rng, leading):
    spectrum = 0.8 ** torch.arange(50, dtype=torch.float64)
    S, bases = matrices(rng, 4, 50, spectrum)
    scales = torch.tensor([1e-30, 1.0, 1e30, 0.0], dtype=torch.float64)
    vectors, values = leading(S * scales[:, None, None])
    torch.testing.assert_close(values, scales, rtol=1e-9, atol=1e-300)
    assert vectors.isfinite().all()
    assert ((vectors * bases[..., 0]).sum(1).abs()[:3] - 1).abs().max() < 1e-9


def test_a_warm_start_leads_to_the_same_vector(rng):
    S, _ = matrices(rng, 2, 80, 0.9 ** torch.arange(80, dtype=torch.float64))
    _, _, block = leading_eigenvectors(S)
    change = torch.as_tensor(rng.standard_normal((2, 80, 1)))
    nearby = S + 0.5 * change @ change.mT / 80
    cold, _, _ = leading_eigenvectors(nearby)
    warm, _, _ = leading_eigenvectors(nearby, block)
    assert ((cold * warm).sum(1).abs() - 1).abs().max() < 1e-12


@pytest.mark.parametrize("width", [BLOCK, WIDE_BLOCK])
def test_deflations_of_pls_are_followed_with_fewer_products(rng, monkeypatch, width):
    """The former leading vector is coupled with what is left, and the block has it."""
    products, apply = [], eigen._filter
    monkeypatch.setattr(eigen, "_width", lambda S: width)
    monkeypatch.setattr(eigen, "_filter", lambda *given: (products.append(given[-1]), apply(*given))[1])
    X, Y = (torch.as_tensor(rng.standard_normal((2, 300, m))) * 0.98 ** torch.arange(m) for m in (400, 120))
    block, taken = None, {"cold": 0, "warm": 0}
    for _ in range(6):
        covariance = X.mT @ Y
        S, found = covariance.mT @ covariance, {}
        for way, start in {"cold": None, "warm": block}.items():
            before = len(products)
            found[way], _, block = leading_eigenvectors(S, start)
            taken[way] += sum(products[before:])
        expected = torch.linalg.eigh(S).eigenvectors[..., -1]
        for vectors in found.values():
            assert ((vectors * expected).sum(1).abs() - 1).abs().max() < 1e-11
        scores = X @ (covariance @ found["warm"][..., None])
        basis = torch.linalg.qr(scores).Q
        X, Y = X - basis @ (basis.mT @ X), Y - basis @ (basis.mT @ Y)
    assert taken["warm"] < taken["cold"]


def test_a_warm_start_that_misses_the_leading_vector_still_finds_it(rng):
    S, bases = matrices(rng, 2, 60, 0.9 ** torch.arange(60, dtype=torch.float64))
    vectors, values, _ = leading_eigenvectors(S, bases[..., 1 : BLOCK + 1].flip(2).contiguous())
    assert ((vectors * bases[..., 0]).sum(1).abs() - 1).abs().max() < 1e-12
    torch.testing.assert_close(values, torch.ones(2, dtype=torch.float64))


def test_converged_matrices_keep_their_pair_when_others_are_decomposed(rng, leading, monkeypatch):
    easy, easy_bases = matrices(rng, 1, 60, 0.3 ** torch.arange(60, dtype=torch.float64))
    hard, hard_bases = matrices(rng, 1, 60, 1 - 1e-3 * torch.arange(60, dtype=torch.float64))
    monkeypatch.setattr(eigen, "ROUNDS", 4)
    monkeypatch.setattr(eigen, "MOST", 5)
    monkeypatch.setattr(eigen, "SQUARINGS", (6,))
    vectors, _ = leading(torch.cat([easy, hard]))
    expected = torch.cat([easy_bases, hard_bases])[..., 0]
    assert ((vectors * expected).sum(1).abs() - 1).abs().max() < 1e-10
