"""Distances between two sets of pictures, each a cloud of feature vectors: FID and KID.

What a reader would get wrong: both depend on the network that gives the features, FID
on the number of pictures, too. It falls as there are more of them, and below one
picture a feature the covariance has not even full rank. Everything is float64.
"""

from typing import NamedTuple

import numpy as np

_BLOCK = 1024  # Rows of a kernel matrix that are held at a time.


class Moments(NamedTuple):
    """Mean and covariance of feature vectors.

    Attributes:
        mean: float64 array `(D,)`.
        covariance: float64 array `(D, D)`, unbiased.
    """

    mean: np.ndarray
    covariance: np.ndarray


def moments(features: np.ndarray) -> Moments:
    """Computes the moments of a set.

    Args:
        features: Float array `(pictures, D)` of at least 2 pictures.

    Returns:
        The `Moments`.
    """
    features = np.asarray(features, "float64")
    covariance = np.cov(features, rowvar=False)
    return Moments(features.mean(axis=0), np.atleast_2d(covariance))


def frechet_distance(one: Moments, other: Moments) -> float:
    """Computes the Frechet distance of two Gaussians: FID, of Inception's features.

    Args:
        one: Moments of the first set.
        other: Moments of the second.

    Returns:
        Squared distance, 0 for equal moments. Rounding may put it below 0 by about
        1e-9 of the covariances' traces.

    Source: Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge
    to a Local Nash Equilibrium", equation 6. The trace of the square root of a product
    AB of covariances is computed as the nuclear norm of sqrt(A) sqrt(B), which needs no
    square root of an unsymmetric matrix and stays real where they are singular.
    """
    roots = [_square_root(part.covariance) for part in (one, other)]
    overlap = np.linalg.norm(roots[0] @ roots[1], "nuc")
    traces = np.trace(one.covariance) + np.trace(other.covariance)
    return float(np.sum((one.mean - other.mean) ** 2) + traces - 2 * overlap)


def kernel_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Computes the unbiased squared maximum mean discrepancy: KID, of Inception's.

    Args:
        one: Float array `(n, D)` of features, n at least 2.
        other: Float array `(m, D)`, m at least 2.

    Returns:
        The distance. Its expectation is 0 for sets of one distribution, whatever their
        sizes; it is therefore negative about as often as not there.

    Source: Binkowski et al. 2018, "Demystifying MMD GANs", section 4: the kernel
    (x y / D + 1)^3. All pairs of pictures count, where the publication averages over
    random subsets; the expectation is the same.
    """
    one, other = (np.asarray(part, "float64") for part in (one, other))
    across = _kernel_sum(one, other) / (len(one) * len(other))
    return float(_kernel_mean(one) + _kernel_mean(other) - 2 * across)


def _square_root(covariance):
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _kernel_mean(features):
    # Of a picture with itself says nothing, and would bias the estimate.
    own = np.sum((np.sum(features**2, axis=1) / features.shape[1] + 1) ** 3)
    pairs = len(features) * (len(features) - 1)
    return (_kernel_sum(features, features) - own) / pairs


def _kernel_sum(one, other):
    return sum(
        np.sum((one[start : start + _BLOCK] @ other.T / one.shape[1] + 1) ** 3)
        for start in range(0, len(one), _BLOCK)
    )
