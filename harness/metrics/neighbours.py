"""Distances to nearest neighbours, in chunks that fit into memory."""

import torch
from torch import Tensor

CHUNK_SIZE = 500  # points at a time


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Squared Euclidean distances: (n, d) and (m, d) -> (n, m); exact for small integers."""
    squares = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * (a @ b.T)
    return squares.clamp(min=0)


def nearest_distances(a: Tensor, b: Tensor) -> Tensor:
    """The squared distance of each a (n, d) to its nearest b (m, d): (n,)."""
    return torch.cat([squared_distances(part, b).amin(1) for part in a.split(CHUNK_SIZE)])


def neighbour_radii(points: Tensor, k: int) -> Tensor:
    """The squared distance of each point (n, d) to its k-th nearest other point: (n,).

    ValueError where there are no k others.
    """
    if len(points) <= k:
        raise ValueError(f"{len(points)} images have no {k} neighbours each; expected more images")
    radii, first = [], 0
    for part in points.split(CHUNK_SIZE):
        distances = squared_distances(part, points)
        own = torch.arange(len(part), device=points.device)
        distances[own, first + own] = torch.inf
        radii.append(distances.kthvalue(k, dim=1).values)
        first += len(part)
    return torch.cat(radii)
