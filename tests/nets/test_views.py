"""Views: what they change, what they keep, and that draws decide all of it."""

import torch

from whichloss.nets.views import cropped, exchanged, fewer_words, shaded, view
from whichloss.rng import Rng

SHAPE = (3, 9, 8)


def pictures(n=6):
    return torch.rand(n, 3 * 9 * 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_same_draws_give_the_same_view_and_others_another():
    for x, shape in ((pictures(), SHAPE), (torch.randn(6, 5), ())):
        assert view(x, Rng.of(1), shape).equal(view(x, Rng.of(1), shape))
        assert not view(x, Rng.of(1), shape).equal(view(x, Rng.of(2), shape))
        assert view(x, Rng.of(1), shape).shape == x.shape


def test_a_crop_of_everything_is_the_picture():
    x = pictures()
    assert torch.allclose(cropped(x, Rng.of(0), SHAPE, least=1.0), x, atol=1e-5)


def test_a_crop_of_an_even_picture_is_the_picture_and_of_a_slope_a_gentler_slope():
    assert torch.allclose(cropped(torch.full((4, 64), 0.3), Rng.of(0), (1, 8, 8)), torch.tensor(0.3))
    slope = torch.linspace(-1, 1, 16).repeat(16, 1).reshape(1, 256).repeat(50, 1)
    seen = cropped(slope, Rng.of(0), (1, 16, 16), least=0.5).view(50, 16, 16)
    steps = seen.diff(dim=2)[:, :, 3:-3]
    assert steps.min() > 0 and steps.amax(dim=(1, 2)).max() <= 2 / 15 + 1e-4
    share = steps.mean(dim=(1, 2)) * 15 / 2
    assert 0.49 < share.min() < 0.6 and 0.9 < share.max() < 1.01
    assert torch.allclose(seen.diff(dim=1), torch.zeros(()), atol=1e-5)  # no turn, no shear


def test_a_bent_picture_is_turned_stretched_and_sheared_as_far_as_told():
    h, w = 40, 60
    across, down = torch.meshgrid(*(((2 * torch.arange(side) + 1) / side - 1) for side in (w, h)), indexing="xy")
    x = torch.stack([across, down]).reshape(1, -1).repeat(200, 1)  # each pixel says where it was
    for bend in (0.0, 0.5, 1.0, torch.tensor(1.0)):
        seen = cropped(x, Rng.of(0), (2, h, w), bend=bend).view(200, 2, h, w)[:, :, 10:-10, 15:-15]
        per_w, per_h = (seen.diff(dim=d)[..., 5:-5, 5:-5].mean((2, 3)) * side / 2 for d, side in ((3, w), (2, h)))
        found = torch.stack([per_w, per_h], dim=2)  # d (where it was) / d (where it is seen), (200, 2, 2)
        share = torch.linalg.det(found).sqrt()
        assert share.min() > 0.59 and share.max() < 1.01
        u, s, v = torch.linalg.svd(found / share[:, None, None])
        rotation = u @ v
        turn = torch.atan2(rotation[:, 1, 0] - rotation[:, 0, 1], rotation[:, 0, 0] + rotation[:, 1, 1])
        most = 0.4 * float(bend)
        assert turn.abs().max() <= most + 0.16 * float(bend) + 1e-3 and (not most or turn.abs().max() > 0.8 * most)
        assert (s[:, 0].log().max() > 0.1) == bool(float(bend)) and s[:, 0].log().max() < 0.45 * float(bend) + 1e-3


def test_channels_in_lights_of_their_own_change_colours():
    x = pictures()
    seen = shaded(x, Rng.of(3), channels=3).view(-1, 3, 72)
    factor = (seen - seen.mean(2, keepdim=True)).std(2) / x.view(-1, 3, 72).std(2)
    assert factor.std(dim=1).min() > 0.01 and factor.min() >= 0.59 and factor.max() <= 1.41
    assert torch.allclose(shaded(x, Rng.of(3), 0.0, 3), x, atol=1e-6)


def test_light_moves_all_levels_alike():
    x, seen = pictures(), shaded(pictures(), Rng.of(3))
    centred, before = (v - v.mean(dim=1, keepdim=True) for v in (seen, x))
    factor = (centred * before).sum(1) / before.square().sum(1)
    assert torch.allclose(centred, factor[:, None] * before, atol=1e-5)
    assert factor.min() >= 0.6 and factor.max() <= 1.4
    assert (seen.mean(1) - x.mean(1)).abs().max() <= 0.4


def test_what_is_exchanged_comes_from_the_same_column_of_another_row():
    x = torch.arange(200.0).view(40, 5)
    seen = exchanged(x, Rng.of(0))
    for j in range(5):
        assert set(seen[:, j].tolist()) <= set(x[:, j].tolist())
    assert 0.2 < (seen != x).float().mean() < 0.4


def test_lanes_side_by_side_see_what_each_sees_alone():
    x = torch.stack([pictures(), pictures() / 2])
    keys = Rng.of(4, 5)
    for shape in (SHAPE, ()):
        both = torch.vmap(lambda x, key, shape=shape: view(x, Rng(key), shape))(x, keys.key)
        for k in range(2):
            assert torch.allclose(both[k], view(x[k], Rng(keys.key[k]), shape), atol=1e-6)


def test_words_are_left_out_and_the_rest_stays_a_text():
    ids = torch.tensor([[8, 1, 2, 3, 4, 5, 9, 0, 0], [8, 6, 9, 0, 0, 0, 0, 0, 0], [8, 9, 0, 0, 0, 0, 0, 0, 0]]).double()
    assert torch.equal(fewer_words(ids, Rng.of(0), 0.0), ids)
    bare = torch.tensor([8.0, 9, 0, 0, 0, 0, 0, 0, 0]).expand(3, 9)
    assert torch.equal(fewer_words(ids, Rng.of(0), 1.0), bare.double())
    many = fewer_words(ids[:1].expand(4000, 9), Rng.of(1), 0.3)
    inside = many[:, 1:6] * (many[:, 1:6] < 6)
    assert abs((inside > 0).sum() / 20_000 - 0.7) < 0.02
    for row in many[:50].tolist():
        words = row[1 : row.index(9)]
        assert row[0] == 8 and words == sorted(set(words)) and not any(row[row.index(9) + 1 :])
