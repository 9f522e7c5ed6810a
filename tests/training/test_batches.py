import torch

from sklstm.training import InputNoise, SequenceDataset
from sklstm.training._batches import BatchLoader


def numbered(n):
    X = torch.arange(n, dtype=torch.float32)[:, None, None].expand(n, 3, 2).contiguous()
    return SequenceDataset(X, torch.arange(n))


def test_every_sample_once_an_epoch_and_pairs_stay_together():
    loader = BatchLoader(numbered(23), 5, shuffle=True, generator=torch.Generator().manual_seed(0))
    assert len(loader) == 5
    orders = []
    for _ in range(2):
        seen = []
        for X, y in loader:
            assert torch.equal(X[:, 0, 0], y.float())
            seen.append(y)
        assert [len(y) for y in seen] == [5, 5, 5, 4, 4]
        orders.append(torch.cat(seen))
        assert torch.equal(orders[-1].sort().values, torch.arange(23))
    assert not torch.equal(*orders), "a fresh permutation every epoch"


def test_no_batch_is_much_smaller_than_the_others():
    """The 67 sequences of a small set make batches of 34 and 33, not of 64 and 3."""
    for n, batch_size in ((67, 64), (64, 64), (65, 64), (5, 64), (1000, 33)):
        sizes = [len(y) for _, y in BatchLoader(numbered(n), batch_size)]
        assert len(sizes) == -(-n // batch_size)
        assert sum(sizes) == n
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= batch_size


def test_without_shuffling_batches_come_in_order():
    assert torch.equal(torch.cat([y for _, y in BatchLoader(numbered(7), 3)]), torch.arange(7))


def test_noise_has_the_standard_deviation_asked_for_and_is_fresh():
    data = SequenceDataset(torch.zeros(400, 25, 10), torch.zeros(400))
    loader = BatchLoader(data, 64, generator=torch.Generator().manual_seed(0), rule=InputNoise(0.3))
    first, second = (torch.cat([X for X, _ in loader]) for _ in range(2))
    for noise in (first, second):  # 100,000 draws: standard error of the standard deviation 0.0007
        assert abs(noise.std() - 0.3) < 0.003
        assert abs(noise.mean()) < 0.004
    assert abs((first * second).mean()) < 0.002, "two epochs share no noise"
    assert not data.X.values.any(), "the data itself stays clean"
