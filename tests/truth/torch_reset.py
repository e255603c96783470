"""torch.nn.GRU with the reset before the product, by autograd: what PyTorch does not have, and GRU(reset_after=False) here is."""

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


class GRU(torch.nn.GRU):
    """The parameters, arguments and results of torch.nn.GRU with batch_first=True. Dropout between the layers has no part."""

    #: What W_hh sees of h, [N, hidden] by the number of the direction of the layer; all of it where there is none.
    masks = None

    def forward(self, x, h_0=None):
        packed = isinstance(x, PackedSequence)
        lengths = None
        if packed:
            x, lengths = pad_packed_sequence(x, batch_first=True)
        n = len(x)
        lengths = torch.full((n,), x.shape[1]) if lengths is None else lengths
        blocks = self.num_layers * (2 if self.bidirectional else 1)
        states = torch.zeros(blocks, n, self.hidden_size, dtype=x.dtype) if h_0 is None else h_0
        last = []
        for k in range(self.num_layers):
            ways = [self._one_way(x, states[len(last)], lengths, k, False, len(last))]
            last.append(ways[0][1])
            if self.bidirectional:
                ways.append(self._one_way(x, states[len(last)], lengths, k, True, len(last)))
                last.append(ways[1][1])
            x = torch.cat([output for output, _ in ways], dim=2)
        if packed:
            x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return x, torch.stack(last)

    def _one_way(self, x, h, lengths, layer, backwards, number):
        suffix = f"_l{layer}{'_reverse' if backwards else ''}"
        w_ih, w_hh = (getattr(self, f"weight_{kind}{suffix}").chunk(3) for kind in ("ih", "hh"))
        none = torch.zeros(3 * self.hidden_size, dtype=x.dtype)
        b_ih, b_hh = ((getattr(self, f"bias_{kind}{suffix}") if self.bias else none).chunk(3) for kind in ("ih", "hh"))
        mask = 1 if self.masks is None else self.masks[number]
        outputs = [None] * x.shape[1]
        for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
            r, z = (torch.sigmoid(x[:, t] @ w_ih[i].T + b_ih[i] + (mask * h) @ w_hh[i].T + b_hh[i]) for i in range(2))
            n = torch.tanh(x[:, t] @ w_ih[2].T + b_ih[2] + (r * mask * h) @ w_hh[2].T + b_hh[2])
            counts = (t < lengths)[:, None]
            h = torch.where(counts, (1 - z) * n + z * h, h)
            outputs[t] = torch.where(counts, h, torch.zeros_like(h))
        return torch.stack(outputs, dim=1), h
