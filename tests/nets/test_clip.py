"""CLIP's networks: the published numbers of weights, parts against torch's own, lanes, what a text's end means."""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F

from whichloss.errors import UserError
from whichloss.nets.clip import CLIP, SIZES, picture_encoder, text_encoder
from whichloss.nets.clip.resnet import AttentionPool, Bottleneck, ResNet
from whichloss.nets.clip.small import SmallConv
from whichloss.nets.clip.text import BagOfWords, TextTransformer
from whichloss.nets.clip.transformer import Attention, Block, quick_gelu
from whichloss.nets.clip.vit import ViT

PUBLISHED = {"RN50": (38_316_896, 63_690_240, 102_007_137), "ViT-B/32": (87_849_216, 63_428_096, 151_277_313)}
WORDS, CONTEXT = 50, 9


def weights(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def texts(*lengths: int, start: int = WORDS - 2) -> torch.Tensor:
    """Rows of ids: start, random ones, end (the highest), padding 0."""
    generator = torch.Generator().manual_seed(sum(lengths))
    ids = torch.zeros(len(lengths), CONTEXT, dtype=torch.long)
    for row, n in zip(ids, lengths, strict=True):
        row[: n + 2] = torch.tensor([start, *torch.randint(0, start, (n,), generator=generator).tolist(), start + 1])
    return ids


def small_texts(dtype=torch.float64):
    torch.manual_seed(0)
    return [
        TextTransformer(WORDS, CONTEXT, 6, width=16, heads=2, depth=2).to(dtype),
        BagOfWords(WORDS, 6, width=12, inner=20).to(dtype),
    ]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_sizes_of_the_paper_have_the_published_numbers_of_weights(name):
    with torch.device("meta"):
        net = CLIP(name)
        size = SIZES[name]
        assert (weights(net.picture), weights(net.text), weights(net)) == PUBLISHED[name]
        assert net.picture(torch.empty(2, math.prod(size.shape))).shape == (2, size.outputs)
        assert net.text(torch.empty(2, 77, dtype=torch.long)).shape == (2, size.outputs)


def test_the_scale_starts_at_one_over_the_temperature():
    with torch.device("meta"):
        assert CLIP("small-conv").log_scale.shape == ()
    assert CLIP("small-conv").log_scale.item() == pytest.approx(math.log(1 / 0.07))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *((name, shape) for name in ("small-conv", "small-vit") for shape in [(3, 32, 32), (1, 28, 28), (3, 16, 64)]),
        *(("small-conv", shape) for shape in [(3, 9, 13), (1, 8, 63)]),
    ],
)
def test_small_sizes_take_pictures_of_their_shape(name, shape):
    torch.manual_seed(0)
    net = picture_encoder(name, shape, 24)
    x = torch.randn(3, math.prod(shape), requires_grad=True)
    out = net(x)
    assert out.shape == (3, 24)
    assert torch.allclose(net(x[:1]), out[:1], atol=1e-5)  # rows are independent
    (slope,) = torch.autograd.grad(out.pow(3).sum(), x)
    assert (slope != 0).all()  # every pixel is seen


def test_the_small_convolutional_size_has_about_as_many_weights_as_it_says():
    picture, text = picture_encoder("small-conv"), text_encoder("small-conv", 3000, 32)
    assert isinstance(picture, SmallConv) and isinstance(text, BagOfWords)
    assert 0.4e6 < weights(picture) < 0.9e6 and 0.4e6 < weights(text) < 0.6e6
    assert isinstance(text_encoder("small-conv", 3000, 32, text="transformer"), TextTransformer)


def test_attention_is_torchs_own():
    torch.manual_seed(0)
    own, peer = Attention(12, 3).double(), nn.MultiheadAttention(12, 3, batch_first=True).double()
    peer.load_state_dict(dict(zip(peer.state_dict(), own.state_dict().values(), strict=True)))
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    mask = torch.full((5, 5), -torch.inf, dtype=torch.float64).triu(1)
    for used in (None, mask):
        assert torch.allclose(own(x, used), peer(x, x, x, attn_mask=used, need_weights=False)[0], atol=1e-12)


def test_attention_pooling_asks_with_the_mean():
    torch.manual_seed(0)
    pool, x = AttentionPool(6, 8, 2, 5).double(), torch.randn(3, 8, 2, 3, dtype=torch.float64)
    h = x.flatten(2).permute(2, 0, 1)
    h = torch.cat([h.mean(0, keepdim=True), h]) + pool.places[:, None]
    out, _ = F.multi_head_attention_forward(
        h[:1], h, h, 8, 2, None, torch.cat([pool.q.bias, pool.k.bias, pool.v.bias]), None, None, False, 0.0,
        pool.out.weight, pool.out.bias, use_separate_proj_weight=True, q_proj_weight=pool.q.weight,
        k_proj_weight=pool.k.weight, v_proj_weight=pool.v.weight,
    )  # fmt: skip
    assert torch.allclose(pool(x), out[0], atol=1e-12)


def test_a_block_adds_attention_then_a_perceptron():
    torch.manual_seed(0)
    block, x = Block(8, 2, 3).double(), torch.randn(2, 4, 8, dtype=torch.float64)
    h = x + block.attention(F.layer_norm(x, (8,)))
    inner = block.widen(F.layer_norm(h, (8,)))
    assert torch.allclose(block(x), h + block.narrow(inner / (1 + torch.exp(-1.702 * inner))), atol=1e-12)
    assert quick_gelu(torch.tensor(-1e4)) == 0


def test_the_resnet_is_three_convolutions_four_stages_and_no_strided_convolution_but_the_first():
    with torch.device("meta"):
        net = picture_encoder("RN50")
    assert isinstance(net, ResNet)
    convolutions = [part for part in net.modules() if isinstance(part, nn.Conv2d)]
    assert [c.stride for c in convolutions] == [(2, 2)] + [(1, 1)] * (len(convolutions) - 1)
    assert sum(isinstance(part, Bottleneck) for part in net.modules()) == 3 + 4 + 6 + 3
    small = ResNet((3, 64, 32), 7, width=8, heads=4, blocks=(1, 1, 1, 1)).eval()
    assert small(torch.randn(2, 3 * 64 * 32)).shape == (2, 7)


def test_the_vit_is_the_formula():
    torch.manual_seed(0)
    net = ViT((3, 8, 12), 5, width=16, heads=2, depth=1, patch=4).double()
    x = torch.randn(2, 3, 8, 12, dtype=torch.float64)
    patches = torch.stack([
        (x[:, :, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4, None] * net.patches.weight.permute(1, 2, 3, 0)).sum((1, 2, 3))
        for i in range(2) for j in range(3)
    ], dim=1)  # fmt: skip
    h = torch.cat([net.token.expand(2, 1, 16), patches], dim=1) + net.places
    h = net.transformer(F.layer_norm(h, (16,)))
    expected = F.layer_norm(h[:, 0], (16,)) @ net.project
    assert torch.allclose(net(x.flatten(1)), expected, atol=1e-12)


@pytest.mark.parametrize("kind", [0, 1])
def test_what_stands_after_the_end_of_a_text_does_not_count(kind):
    net, ids = small_texts()[kind], texts(1, 3, 7)
    other = ids.clone()
    for row, n in zip(other, (1, 3, 7), strict=True):
        row[n + 2 :] = 5
    assert torch.equal(net(ids), net(other))
    assert torch.equal(net(ids.float()), net(ids))  # rows may be floats
    assert torch.allclose(net(ids[1:2]), net(ids)[1:2], atol=1e-12)
    assert net(ids).shape == (3, 6)
    changed = ids.clone()
    changed[:, 1] = (changed[:, 1] + 1) % (WORDS - 2)
    assert ((net(changed) - net(ids)).norm(dim=1) > 1e-6).all()


def test_a_token_sees_nothing_after_it_and_order_counts():
    net, ids = small_texts()[0], texts(6)
    h = net.transformer(net.words(ids) + net.places, net.mask.double())
    assert torch.allclose(net(ids), F.layer_norm(h[:, 7], (16,)) @ net.project, atol=1e-12)  # the end says it all
    other = ids.clone()
    other[0, 4] = (other[0, 4] + 1) % (WORDS - 2)
    changed = net.transformer(net.words(other) + net.places, net.mask.double())
    assert torch.equal(h[:, :4], changed[:, :4]) and not torch.equal(h[:, 4:], changed[:, 4:])
    turned = ids.clone()
    turned[0, 1:7] = ids[0, 1:7].flip(0)
    assert not torch.allclose(net(turned), net(ids))


def test_a_bag_of_words_is_the_mean_of_its_words():
    net, ids = small_texts()[1], texts(4, 0)
    expected = net.read(torch.stack([net.words.weight[ids[0, 1:5]].mean(0), torch.zeros(12, dtype=torch.float64)]))
    assert torch.allclose(net(ids), expected, atol=1e-12)
    turned = ids.clone()
    turned[0, 1:5] = ids[0, 1:5].flip(0)
    assert torch.allclose(net(turned), net(ids), atol=1e-12)


def lane_nets():
    torch.manual_seed(0)
    pictures = torch.randn(2, 3, 3 * 8 * 8, dtype=torch.float64)
    ids = torch.stack([texts(1, 3, 7), texts(2, 0, 5)])
    yield lambda: picture_encoder("small-conv", (3, 8, 8), 5), pictures
    yield lambda: picture_encoder("small-vit", (3, 8, 8), 5), pictures
    for text in ("words", "transformer"):
        yield lambda text=text: text_encoder("small-vit", WORDS, CONTEXT, 5, text), ids


@pytest.mark.parametrize("kind", range(4))
def test_two_lanes_under_vmap_equal_each_alone(kind):
    """Values and gradients of the small sizes, to rounding."""
    make, inputs = list(lane_nets())[kind]
    nets = [make().double() for _ in range(2)]
    stacked, buffers = stack_module_state(nets)

    def learn(params, buffers, x):
        def loss(params):
            out = functional_call(nets[0], (params, buffers), (x,))
            return out.pow(3).mean(), out

        return grad(loss, has_aux=True)(params)

    slopes, out = vmap(learn)(stacked, buffers, inputs)
    for k in range(2):
        here, alone = learn(*({n: p[k] for n, p in part.items()} for part in (stacked, buffers)), inputs[k])
        assert torch.allclose(out[k], alone, atol=1e-12)
        for name, slope in here.items():
            assert torch.allclose(slopes[name][k], slope, atol=1e-12), name


@pytest.mark.parametrize("kind", range(2))
def test_picture_encoders_have_right_first_and_second_derivatives(kind):
    make, inputs = list(lane_nets())[kind]
    net, x = make().double(), inputs[0, :1].clone().requires_grad_()
    assert torch.autograd.gradcheck(net, (x,), fast_mode=True)
    assert torch.autograd.gradgradcheck(net, (x,), fast_mode=True)


def test_bad_requests_are_refused_by_name():
    with pytest.raises(UserError, match="did you mean 'RN50'"):
        picture_encoder("rn50")
    with pytest.raises(UserError, match=r"ViT-B/32 takes pictures whose sides are multiples of 32; got 30 x 32"):
        picture_encoder("ViT-B/32", (3, 30, 32))
    with pytest.raises(UserError, match="RN50 has no text encoder 'words'"):
        text_encoder("RN50", text="words")
    with pytest.raises(UserError, match="small-vit has no text encoder 'bag'"):
        text_encoder("small-vit", text="bag")
