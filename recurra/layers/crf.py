"""A linear-chain conditional random field, for labels that depend on adjacent labels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.errors import InputError


class BestPath(NamedTuple):
    """The most probable sequence of labels."""

    labels: Tensor
    """int64 (T, B); 0 past a row's length."""
    score: Tensor
    """(B,), the sum of the path's scores and transitions."""


class ConditionalRandomField(nn.Module):
    """p(y | x) = exp(s(y) - log Z), s(y) = start[y_1] + Σ_t x_t[y_t] + Σ_t transition[y_{t-1}, y_t] + end[y_T].

    The partition function Z sums over all paths that the constraints allow (Lafferty, McCallum & Pereira 2001, eq. 1;
    as the output of a recurrent network Huang, Xu & Yu 2015). An empty row has one path, the empty one, with
    score 0.

    Args:
        labels: the number of labels, K.
        allowed_start: bool (K,), True where a sequence may begin with the label; None allows all.
        allowed: bool (K, K), True where the column's label may follow the row's.
        allowed_end: bool (K,), True where a sequence may end.

    Raises:
        InputError: masks of another shape, or scores, labels and lengths that do not fit, in the methods.
    """

    allowed_start: Tensor
    allowed: Tensor
    allowed_end: Tensor

    def __init__(
        self,
        labels: int,
        *,
        allowed_start: Tensor | None = None,
        allowed: Tensor | None = None,
        allowed_end: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.zeros(labels))
        self.transition = nn.Parameter(torch.zeros(labels, labels))
        self.end = nn.Parameter(torch.zeros(labels))
        masks = {"allowed_start": (allowed_start, self.start), "allowed_end": (allowed_end, self.end)}
        for name, (mask, like) in {**masks, "allowed": (allowed, self.transition)}.items():
            if mask is not None and mask.shape != like.shape:
                raise InputError(f"{name} is {tuple(mask.shape)}, expected {tuple(like.shape)} for {labels} labels")
            # Not saved with the parameters: the constraints follow from the labels, which the caller has.
            allowed_mask = torch.ones_like(like, dtype=torch.bool) if mask is None else mask.bool()
            self.register_buffer(name, allowed_mask, persistent=False)

    @property
    def size(self) -> int:
        """The number of labels, K."""
        return len(self.start)

    def _scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """Start (K,), transition (K, K) and end (K,), -inf where forbidden."""
        pairs = ((self.start, self.allowed_start), (self.transition, self.allowed), (self.end, self.allowed_end))
        start, transition, end = (score.masked_fill(~mask, -torch.inf) for score, mask in pairs)
        return start, transition, end

    def log_partition(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The partition function of each row, log Z.

        Args:
            x: (T, B, K), a score for each label at each step.
            lengths: int64 (B,); T for each row if None.

        Returns:
            (B,), in nats; -inf if no path is allowed.
        """
        lengths = self._checked(x, lengths)
        _, _, end = self._scores()
        last = self._forward_scores(x, lengths)  # (T, B, K)
        if not len(x):
            return x.new_zeros(x.shape[1])
        total = _log_sum_exp(last[-1] + end, 1)
        return torch.where(lengths > 0, total, torch.zeros_like(total))

    def _forward_scores(self, x: Tensor, lengths: Tensor) -> Tensor:
        """α (T, B, K): the logarithm of the sum over all paths to each label; past its length a row keeps its last."""
        start, transition, _ = self._scores()
        alphas: list[Tensor] = []
        for t, scores in enumerate(x):
            if t == 0:
                alphas.append(start + scores)
                continue
            # α_t[j] = log Σ_i exp(α_{t-1}[i] + transition[i, j]) + x_t[j], for all rows: (B, K, 1) + (K, K)
            new = _log_sum_exp(alphas[-1][:, :, None] + transition, 1) + scores  # (B, K)
            alphas.append(torch.where((t < lengths)[:, None], new, alphas[-1]))
        return torch.stack(alphas) if alphas else x

    def score(self, x: Tensor, labels: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The score s(y) of paths.

        Args:
            x: (T, B, K).
            labels: int64 (T, B); anything from 0 to K - 1 past a row's length.
            lengths: int64 (B,); T for each row if None.

        Returns:
            (B,); -inf if a path is not allowed.
        """
        lengths = self._checked(x, lengths)
        if labels.shape != x.shape[:2]:
            raise InputError(f"labels are {tuple(labels.shape)}, expected {tuple(x.shape[:2])} for these scores")
        if not len(x):
            return x.new_zeros(x.shape[1])
        start, transition, end = self._scores()
        inside = torch.arange(len(x), device=x.device)[:, None] < lengths  # (T, B)
        # `where` and not a product with the mask: 0 · -inf of a forbidden transition in the padding would be NaN.
        zero = x.new_zeros(())
        emitted = x.gather(2, labels[:, :, None])[:, :, 0]  # (T, B)
        moved = transition[labels[:-1], labels[1:]]  # (T - 1, B)
        last = labels.gather(0, (lengths - 1).clamp(min=0)[None])[0]  # (B,)
        total = torch.where(inside, emitted, zero).sum(0) + torch.where(inside[1:], moved, zero).sum(0)
        return torch.where(lengths > 0, total + start[labels[0]] + end[last], zero)

    def log_probability(self, x: Tensor, labels: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log p(y | x) of paths, (B,), in nats; the arguments are those of `score`."""
        return self.score(x, labels, lengths) - self.log_partition(x, lengths)

    def partial_log_probability(self, x: Tensor, possible: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log of the sum of p(y | x) over all paths y whose label at each step is a possible one.

        The likelihood of a partly labelled sequence (Tsuboi et al. 2008, eq. 2): at a step without a label, all labels
        are possible.

        Args:
            x: (T, B, K).
            possible: bool (T, B, K); not read past a row's length.
            lengths: int64 (B,); T for each row if None.

        Returns:
            (B,), in nats; -inf, with a gradient of 0, if no such path is allowed.
        """
        if possible.shape != x.shape:
            raise InputError(f"possible is {tuple(possible.shape)}, expected {tuple(x.shape)} for these scores")
        within = self.log_partition(x.masked_fill(~possible, -torch.inf), lengths)
        total = self.log_partition(x, lengths)
        reachable = within > -torch.inf
        # A difference of -inf and the partition function would still have the gradient of the latter.
        return torch.where(reachable, within - total.where(reachable, 0.0), -torch.inf)

    @torch.no_grad()
    def best_path(self, x: Tensor, lengths: Tensor | None = None) -> BestPath:
        """The path with the highest score of each row (Viterbi); among equal ones, the one with the lowest last label.

        Args:
            x: (T, B, K).
            lengths: int64 (B,); T for each row if None.
        """
        lengths = self._checked(x, lengths)
        T, B = x.shape[:2]
        if not T:
            return BestPath(torch.zeros(T, B, dtype=torch.int64, device=x.device), x.new_zeros(B))
        start, transition, end = self._scores()
        best, before = start + x[0], []
        for t in range(1, T):
            scores, source = (best[:, :, None] + transition).max(1)  # (B, K) each
            best = torch.where((t < lengths)[:, None], scores + x[t], best)
            before.append(source)
        score, label = (best + end).max(1)  # (B,) each
        labels = [torch.where(lengths == T, label, 0)]
        for t in range(T - 1, 0, -1):
            # Before the last step of a row the label follows from the next one; at the last step it is the best end.
            earlier = before[t - 1].gather(1, label[:, None])[:, 0]
            label = torch.where(t < lengths, earlier, label)
            labels.append(torch.where(t <= lengths, label, 0))
        present = lengths > 0
        path = torch.stack(labels[::-1]) * present
        return BestPath(path, torch.where(present, score, torch.zeros_like(score)))

    @torch.no_grad()
    def marginals(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The marginal p(y_t = k | x) of every label at every step, (T, B, K); 0 past a row's length."""
        lengths = self._checked(x, lengths)
        if not len(x):
            return x
        _, transition, end = self._scores()
        alpha = self._forward_scores(x, lengths)
        # β_t[i]: the logarithm of the sum over all continuations after label i at step t; α_t + β_t is the joint.
        beta = end.expand_as(x[0])
        betas = [beta]
        for t in range(len(x) - 1, 0, -1):
            # α_t[j] = log Σ_i exp(α_{t-1}[i] + transition[i, j]) + x_t[j], for all rows: (B, K, 1) + (K, K)
            new = _log_sum_exp((beta + x[t])[:, None, :] + transition, 2)  # (B, K)
            beta = torch.where((t < lengths)[:, None], new, beta)
            betas.append(beta)
        joint = alpha + torch.stack(betas[::-1])  # (T, B, K)
        inside = torch.arange(len(x), device=x.device)[:, None] < lengths
        return joint.softmax(-1).masked_fill(~inside[:, :, None], 0.0)

    def _checked(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        if x.dim() != 3 or x.shape[2] != self.size:
            raise InputError(f"scores are {tuple(x.shape)}, expected (T, B, {self.size})")
        if lengths is None:
            return torch.full((x.shape[1],), len(x), device=x.device)
        inside = (lengths >= 0) & (lengths <= len(x))
        if lengths.shape != x.shape[1:2] or not bool(inside.all()):
            raise InputError(f"lengths {lengths.tolist()}: expected {x.shape[1]} numbers from 0 to {len(x)}")
        return lengths.to(x.device)


def _log_sum_exp(scores: Tensor, dim: int) -> Tensor:
    """The logarithm of Σ exp along an axis; -inf if all scores are, with a gradient of 0 (torch.logsumexp: NaN)."""
    largest = scores.detach().amax(dim, keepdim=True)
    largest = largest.masked_fill(largest == -torch.inf, 0.0)
    total = (scores - largest).exp().sum(dim)
    possible = total > 0
    logarithm = torch.where(possible, total, 1.0).log()
    return torch.where(possible, logarithm, -torch.inf) + largest.squeeze(dim)
