"""Five ordinary training loops as people write them; only the `with` line knows of whichloss."""

import math

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import whichloss


def pictures(side=16):
    """Digits in [-1, 1] as (n, 1, side, side), and their classes."""
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x).float().view(-1, 1, 8, 8) / 8 - 1
    return F.interpolate(x, (side, side), mode="bilinear"), torch.tensor(y)


def endless(loader):
    while True:
        yield from loader


def classifier(steps=150, page=None):
    torch.manual_seed(0)
    x, y = pictures()
    loader = endless(DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True))
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Dropout(0.1), nn.Linear(256, 10),
    )  # fmt: skip
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with whichloss.watch(model=model, optimizers=[optimizer], page=page) as w:
        for step in range(steps):
            inputs, labels = next(loader)
            optimizer.zero_grad()
            loss = criterion(model(inputs), labels)
            loss.backward()
            optimizer.step()
            scheduler.step()
            if step % 50 == 0:
                model.eval()
                with torch.no_grad():
                    model(x[:100]).argmax(1)
                model.train()
    return w


def dcgan(steps=200, page=None):
    torch.manual_seed(0)
    x, _ = pictures()
    loader = endless(DataLoader(TensorDataset(x), batch_size=64, shuffle=True, drop_last=True))

    def weights_init(m):
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(m.weight, 0.0, 0.02)
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.normal_(m.weight, 1.0, 0.02)
            nn.init.zeros_(m.bias)

    netG = nn.Sequential(
        nn.ConvTranspose2d(32, 64, 4, 1, 0, bias=False), nn.BatchNorm2d(64), nn.ReLU(True),
        nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(True),
        nn.ConvTranspose2d(32, 1, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    netD = nn.Sequential(
        nn.Conv2d(1, 32, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(64, 1, 4, 1, 0, bias=False), nn.Sigmoid(),
    )  # fmt: skip
    netG.apply(weights_init)
    netD.apply(weights_init)
    criterion = nn.BCELoss()
    optimizerD = torch.optim.Adam(netD.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optimizerG = torch.optim.Adam(netG.parameters(), lr=1e-3, betas=(0.5, 0.999))
    with whichloss.watch(netG=netG, netD=netD, page=page) as w:
        for _ in range(steps):
            (real,) = next(loader)
            netD.zero_grad()
            label = torch.full((len(real),), 1.0)
            errD_real = criterion(netD(real).view(-1), label)
            errD_real.backward()
            fake = netG(torch.randn(len(real), 32, 1, 1))
            label.fill_(0.0)
            errD_fake = criterion(netD(fake.detach()).view(-1), label)
            errD_fake.backward()
            optimizerD.step()
            netG.zero_grad()
            label.fill_(1.0)
            errG = criterion(netD(fake).view(-1), label)
            errG.backward()
            optimizerG.step()
    return w


def wgan_gp(steps=150, page=None):
    torch.manual_seed(0)
    x, _ = pictures(8)
    loader = endless(DataLoader(TensorDataset(x), batch_size=64, shuffle=True, drop_last=True))
    generator = nn.Sequential(
        nn.Linear(16, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 64), nn.Tanh()
    )
    critic = nn.Sequential(
        nn.Linear(64, 256), nn.LeakyReLU(0.2), nn.Linear(256, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1)
    )
    opt_c = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
    opt_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))
    with whichloss.watch(generator=generator, critic=critic, optimizers=[opt_c, opt_g], page=page) as w:
        for step in range(5 * steps):
            real = next(loader)[0].flatten(1)
            fake = generator(torch.randn(len(real), 16)).detach()
            opt_c.zero_grad()
            alpha = torch.rand(len(real), 1)
            inter = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
            d_inter = critic(inter)
            grads = torch.autograd.grad(
                outputs=d_inter,
                inputs=inter,
                grad_outputs=torch.ones_like(d_inter),
                create_graph=True,
                retain_graph=True,
            )[0]
            gp = ((grads.norm(2, dim=1) - 1) ** 2).mean()
            d_loss = critic(fake).mean() - critic(real).mean() + 10 * gp
            d_loss.backward()
            opt_c.step()
            if step % 5 == 0:
                opt_g.zero_grad()
                g_loss = -critic(generator(torch.randn(len(real), 16))).mean()
                g_loss.backward()
                opt_g.step()
    return w


class TimeNet(nn.Module):
    def __init__(self, dim=64, width=256):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))
        self.first, self.mid, self.last = nn.Linear(dim, width), nn.Linear(width, width), nn.Linear(width, dim)

    def forward(self, x, t):
        freq = torch.exp(-math.log(10000) * torch.arange(16) / 16)
        angle = t[:, None].float() * freq
        emb = self.time(torch.cat([angle.sin(), angle.cos()], 1))
        h = F.silu(self.first(x) + emb)
        h = F.silu(self.mid(h) + emb)
        return self.last(h)


def ddpm(steps=400, page=None):
    torch.manual_seed(0)
    x, _ = pictures(8)
    x = x.flatten(1)
    T = 1000
    betas = torch.linspace(1e-4, 0.02, T)
    alphas_cumprod = torch.cumprod(1 - betas, dim=0)
    model = TimeNet()
    ema = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with whichloss.watch(model=model, page=page) as w:
        for _ in range(steps):
            x0 = x[torch.randint(0, len(x), (128,))]
            t = torch.randint(0, T, (128,))
            noise = torch.randn_like(x0)
            ac = alphas_cumprod[t].unsqueeze(1)
            xt = ac.sqrt() * x0 + (1 - ac).sqrt() * noise
            loss = F.mse_loss(model(xt, t), noise)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            with torch.no_grad():
                for k, v in model.state_dict().items():
                    ema[k].lerp_(v, 0.01)
    return w


def simclr(steps=120, page=None):
    torch.manual_seed(0)
    x, _ = pictures()
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, 2, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
    )
    projector = nn.Sequential(nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 64))
    optimizer = torch.optim.Adam([*encoder.parameters(), *projector.parameters()], lr=1e-3)

    def augment(images):
        shift = torch.randint(-2, 3, (2,)).tolist()
        return torch.roll(images, shift, (2, 3)) + 0.1 * torch.randn_like(images)

    with whichloss.watch(encoder=encoder, projector=projector, page=page) as w:
        for _ in range(steps):
            images = x[torch.randperm(len(x))[:128]]
            z = F.normalize(projector(encoder(torch.cat([augment(images), augment(images)]))), dim=1)
            sim = z @ z.T / 0.2
            sim.masked_fill_(torch.eye(len(z), dtype=torch.bool), float("-inf"))
            target = torch.arange(len(z)).roll(len(images))
            loss = F.cross_entropy(sim, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return w


LOOPS = (classifier, dcgan, wgan_gp, ddpm, simclr)
