"""PyTorch modules as people write them in tutorials and papers, each with an example: what from_torch is asked to take."""

import itertools

import torch
from torch import nn
from torch.nn import functional as F

FOUND = {}


def idiom(*example, **parts):
    """Keep a forward with its parts, and batches of data for its arguments."""

    def keep(forward):
        def make():
            torch.manual_seed(0)
            found = type("Net", (nn.Module,), {"forward": forward})()
            for name, part in parts.items():
                made = part() if callable(part) and not isinstance(part, nn.Module) else part
                found.register_buffer(name, made) if isinstance(made, torch.Tensor) else found.add_module(name, made)
            return found, [each() for each in example]

        FOUND[forward.__name__] = make
        return forward

    return keep


def rows(*shape):
    return lambda: torch.randn(*shape)


def words(*shape):
    return lambda: torch.randint(0, 20, shape)


def dense(*sizes, activation=nn.ReLU):
    parts = [part for a, b in itertools.pairwise(sizes) for part in (nn.Linear(a, b), activation())]
    return nn.Sequential(*parts[:-1])


SEQUENCES = rows(4, 9, 3)


@idiom(words(4, 9), e=lambda: nn.Embedding(20, 8), rnn=lambda: nn.LSTM(8, 6, 2, batch_first=True), fc=lambda: nn.Linear(6, 20))
def characters_with_time_in_the_batch(self, x):
    output, _ = self.rnn(self.e(x))
    output = output.contiguous().view(-1, 6)
    return F.log_softmax(self.fc(output), dim=1)


@idiom(words(4, 9), e=lambda: nn.Embedding(20, 8), rnn=lambda: nn.LSTM(8, 6, batch_first=True), fc=lambda: nn.Linear(6, 1))
def sentiment_of_the_last_score(self, x):
    batch_size = x.size(0)
    output, _ = self.rnn(self.e(x))
    score = torch.sigmoid(self.fc(output.reshape(-1, output.size(2))))
    return score.view(batch_size, -1)[:, -1]


@idiom(SEQUENCES, inner=lambda: dense(3, 5, 2), rnn=lambda: nn.GRU(2, 4, batch_first=True))
def time_distributed(self, x):
    y = self.inner(x.contiguous().view(x.size(0) * x.size(1), x.size(-1)))
    return self.rnn(y.view(x.size(0), x.size(1), y.size(-1)))[0]


@idiom(SEQUENCES, rnn=lambda: nn.LSTM(3, 4, batch_first=True, bidirectional=True), fc=lambda: nn.Linear(8, 2))
def both_ends_of_the_outputs(self, x):
    output, _ = self.rnn(x)
    return self.fc(torch.cat([output[:, -1, :4], output[:, 0, 4:]], dim=1))


@idiom(SEQUENCES, rnn=lambda: nn.GRU(3, 4, batch_first=True, bidirectional=True), fc=lambda: nn.Linear(4, 2))
def directions_added(self, x):
    output, h = self.rnn(x)
    both = output[:, :, :4] + output[:, :, 4:]
    return self.fc(torch.tanh(both)).mean(1) + self.fc(h[-2] + h[-1])


@idiom(SEQUENCES, rnn=lambda: nn.GRU(3, 4, 2, batch_first=True), fc=lambda: nn.Linear(8, 2))
def states_of_all_layers(self, x):
    _, h = self.rnn(x)
    return self.fc(torch.cat([h[0], h[1]], dim=1))


@idiom(SEQUENCES, rnn=lambda: nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True), fc=lambda: nn.Linear(8, 2))
def last_layer_beside_the_outputs(self, x):
    output, (h, c) = self.rnn(x)
    return self.fc(torch.cat((h[-2], h[-1]), 1)) + self.fc(output).mean(dim=1) + self.fc(torch.cat((c[0], c[3]), -1))


@idiom(SEQUENCES, rnn=lambda: nn.GRU(3, 4, 2, batch_first=True), fc=lambda: nn.Linear(4, 1))
def zeros_without_gradients(self, x):
    h0 = torch.zeros(2, x.size(0), 4).to(x).requires_grad_()
    output, _ = self.rnn(x, h0.detach())
    return self.fc(output[:, -1, :])


@idiom(SEQUENCES, rnn=lambda: nn.GRU(3, 4, batch_first=True), a=lambda: nn.Linear(4, 1), fc=lambda: nn.Linear(4, 2))
def weighted_sum_over_time(self, x):
    output, _ = self.rnn(x)
    weight = torch.softmax(self.a(output), dim=1)
    return self.fc(torch.sum(weight * output, dim=1))


@idiom(SEQUENCES, rnn=lambda: nn.GRU(3, 4, batch_first=True, bidirectional=True), fc=lambda: nn.Linear(8, 2))
def the_first_step(self, x):
    return self.fc(self.rnn(x)[0][:, 0])


@idiom(SEQUENCES, e=lambda: nn.LSTM(3, 4, batch_first=True), d=lambda: nn.LSTM(4, 4, batch_first=True), o=lambda: nn.Linear(4, 3))
def sequence_autoencoder(self, x):
    _, (h, _) = self.e(x)
    output, _ = self.d(h[-1].unsqueeze(1).repeat(1, x.size(1), 1))
    return self.o(output)


@idiom(SEQUENCES, line=lambda: nn.Linear(9, 5))
def forecast_less_the_last_value(self, x):
    last = x[:, -1:, :].detach()
    return self.line((x - last).permute(0, 2, 1)).permute(0, 2, 1) + last


@idiom(SEQUENCES, line=lambda: nn.Linear(3, 2))
def differences_of_steps(self, x):
    return self.line(x[:, 1:] - x[:, :-1]).sum(dim=(1, 2))


@idiom(rows(4, 7, 3), phi=lambda: dense(3, 8, 8, activation=nn.Tanh), rho=lambda: dense(8, 8, 1))
def deep_sets(self, x):
    return self.rho(self.phi(x).sum(dim=1))


@idiom(rows(4, 6, 8), n=lambda: nn.LayerNorm(8), t=lambda: dense(6, 12, 6, activation=nn.GELU), fc=lambda: nn.Linear(8, 3))
def mixer(self, x):
    x = x + self.t(self.n(x).transpose(1, 2)).transpose(1, 2)
    return self.fc(x.mean(dim=1))


@idiom(rows(4, 6), rows(4, 6), net=lambda: dense(6, 5, 3), out=lambda: nn.Linear(3, 1))
def siamese(self, a, b):
    return torch.sigmoid(self.out(torch.abs(self.net(a) - self.net(b))))


@idiom(rows(4, 6), encoder=lambda: dense(6, 5, 4), decoder=lambda: nn.Linear(2, 6))
def variational_autoencoder(self, x):
    mean, log_variance = self.encoder(x).chunk(2, dim=-1)
    return torch.sigmoid(self.decoder(mean)), mean, log_variance


@idiom(rows(4, 6), body=lambda: dense(6, 5), value=lambda: nn.Linear(5, 1), advantage=lambda: nn.Linear(5, 3))
def dueling_q(self, x):
    h = F.relu(self.body(x))
    advantage = self.advantage(h)
    return self.value(h) + (advantage - advantage.mean(dim=1, keepdim=True))


@idiom(rows(4, 4), q1=lambda: dense(6, 5, 1), q2=lambda: dense(6, 5, 1))
def twin_critics(self, x):
    x = torch.cat([x, x[:, :2]], 1)
    return torch.min(self.q1(x), self.q2(x))


@idiom(rows(4, 5), fc=lambda: nn.Linear(5, 6))
def heads_of_one_layer(self, x):
    y = self.fc(x)
    a, b, c = torch.split(y, [1, 2, 3], dim=1)
    return torch.cat([y[:, :1], F.softplus(y[:, 1:3]) + 1e-3], dim=1), a * b, c.max(dim=1)[0], y[..., 4], c.min(-1)[0]


@idiom(words(4), words(4), u=lambda: nn.Embedding(20, 5), v=lambda: nn.Embedding(20, 5), b=lambda: nn.Embedding(20, 1))
def matrix_factorization(self, user, item):
    return (self.u(user) * self.v(item)).sum(1) + self.b(user).squeeze()


@idiom(
    rows(4, 3), mean=lambda: torch.tensor([0.1, 0.2, 0.3]), std=lambda: torch.tensor([1.0, 2.0, 3.0]), fc=lambda: nn.Linear(3, 3)
)
def standardized(self, x):
    return self.mean + self.std * self.fc((x - self.mean) / self.std) - 2 * (1 - self.mean.sum())


@idiom(rows(9, 4, 3), rnn=lambda: nn.GRU(3, 4), fc=lambda: nn.Linear(4, 5))
def words_with_time_first(self, x):
    decoded = self.fc(self.rnn(x)[0])
    return F.log_softmax(decoded.view(-1, 5), dim=1)


@idiom(rows(4, 8), fc=lambda: nn.Linear(8, 6))
def groups_of_features(self, x):
    y = self.fc(x).view(-1, 2, 3)
    first, second = y.unbind(1)
    return torch.softmax(y, dim=1).flatten(1), first.expand(-1, 3) * second, y.select(2, 1), y.narrow(2, 1, 2).amax(dim=(1, 2))


@idiom(rows(4, 6), fc=lambda: nn.Linear(6, 6), order=lambda: torch.tensor([2, 0, 1, 5, 4, 3]))
def features_in_another_order(self, x):
    y = self.fc(x)[:, self.order]
    a, b = y.tensor_split(2, dim=1)
    flow = torch.cat([a, b * torch.exp(a)], dim=-1).flip(1)
    return flow, y[:, [3, 1, 1]], torch.roll(flow, 2, 1), y.index_select(1, self.order).diff(dim=1), y[:, ::4].amin(1)


@idiom(rows(4, 5, 3), fc=lambda: nn.Linear(3, 4), mean=lambda: nn.AdaptiveAvgPool1d(1), top=lambda: nn.AdaptiveMaxPool1d(1))
def steps_and_channels(self, x):
    y = self.fc(torch.roll(x, (1, -1), (1, 2))).flip([1, 2])
    c = y.movedim(1, -1)
    first, second, third = y.tensor_split([2, 4], dim=1)
    near = y[:, 1:4:2, [2, 0]].flatten(1)
    return self.mean(c).squeeze(-1), self.top(c).flatten(1), y[:, 0], near, first - second, third[:, 0, 1:], y[:, y.size(1) // 2 :]
