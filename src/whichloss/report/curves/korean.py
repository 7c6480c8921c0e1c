"""The titles and notes of all panels in Korean; axes and names of lines stay as they are in code and formulas."""

GRADIENT = ": the gradient"
KOREAN = {
    "Binary cross-entropy": "이진 교차 엔트로피",
    "Without bound where a sure answer is wrong; 0 where it is right.": (
        "확신한 답이 틀리면 한없이 커지고, 맞으면 0이다."
    ),
    "-1/p and 1/(1 - p): never 0, not even for the right answer.": (
        "-1/p와 1/(1 - p)이다. 맞는 답에서도 0이 되지 않는다."
    ),
    "On logits, to ±100": "로짓에서, ±100까지",
    "float32, label 0. The naive -log(1 - sigmoid(z)) is infinite from z = 17: its line ends at the cross.": (
        "float32, 레이블 0. 단순한 식 -log(1 - sigmoid(z))는 z = 17부터 무한대라 가위표에서 선이 끊긴다."
    ),
    "The naive gradient is 0 times infinity there: not a number, and from then on so are all weights.": (
        "단순한 식의 기울기는 거기서 0 곱하기 무한대, 곧 NaN이다. 그 뒤로는 모든 가중치가 NaN이 된다."
    ),
    "The logit is a log-odds": "로짓은 로그 오즈다",
    "log p is negative for every p < 1; the logit changes sign at one half.": (
        "log p는 p < 1이면 언제나 음수다. 로짓은 1/2에서 부호가 바뀐다."
    ),
    "The sigmoid undoes it": "시그모이드는 그 역함수다",
    "Slope 1/4 at 0; each unit multiplies the odds by e.": (
        "0에서 기울기는 1/4이다. 1만큼 커질 때마다 오즈가 e배가 된다."
    ),
    "Cross-entropy": "교차 엔트로피",
    "A straight line where wrong, and nearly 0 where right.": "틀린 쪽에서는 직선이고, 맞는 쪽에서는 거의 0이다.",
    "p - 1: between -1, all wrong, and 0.": "p - 1이다. 완전히 틀리면 -1, 맞으면 0에 가깝다.",
    "Cross-entropy with and without smoothing": "레이블 스무딩이 있을 때와 없을 때의 교차 엔트로피",
    "Smoothed, the loss has a least point at a finite logit, and it is not 0: being surer costs again.": (
        "스무딩을 하면 유한한 로짓에서 손실이 가장 작고, 그 값은 0이 아니다. 그보다 더 확신하면 다시 손실이 는다."
    ),
    "It crosses 0 where p is 1 - s + s/3; without smoothing it never does.": (
        "p가 1 - s + s/3인 곳에서 0을 지난다. 스무딩이 없으면 0을 지나지 않는다."
    ),
    "Focal loss": "초점 손실",
    "gamma 0 is cross-entropy. A larger gamma forgets examples that are already right.": (
        "gamma 0은 교차 엔트로피다. gamma가 클수록 이미 맞힌 예제를 무시한다."
    ),
    "Against the logit. With gamma > 0 the pull of a hopeless example is nearly the same, that of an easy one gone.": (
        "로짓에 대한 기울기다. gamma > 0이면 크게 틀린 예제의 힘은 거의 그대로이고, 쉬운 예제의 힘은 사라진다."
    ),
    "Asymmetric loss of an absent label": "없는 레이블의 비대칭 손실",
    "Easy negatives count for nothing; below p = clip exactly nothing.": (
        "쉬운 음성 예제는 거의 세지 않는다. p가 clip보다 작으면 정확히 0이다."
    ),
    "A very sure wrong answer is pulled less as well: it may be a missing label.": (
        "매우 확신한 틀린 답도 덜 당긴다. 레이블이 빠진 것일 수 있기 때문이다."
    ),
    "Poly-1": "Poly-1",
    "epsilon 0 is cross-entropy.": "epsilon 0은 교차 엔트로피다.",
    "The change is largest near p = 1/2.": "차이는 p = 1/2 근처에서 가장 크다.",
    "Margin losses": "마진 손실",
    "Exactly 0 beyond the margin of 1; cross-entropy never is.": (
        "마진 1을 넘으면 정확히 0이다. 교차 엔트로피는 0이 되지 않는다."
    ),
    "Hinges stop pulling at the margin: such rows no longer matter.": (
        "힌지는 마진에서 당기기를 멈춘다. 그런 예제는 더는 영향이 없다."
    ),
    "Squared loss on one-hot": "원-핫 제곱 손실",
    "A score above the target costs again, though the answer is right.": (
        "답이 맞아도 점수가 목표를 넘으면 다시 손실이 생긴다."
    ),
    "It changes sign at the target.": "목표에서 부호가 바뀐다.",
    "A row of the rare class (prior .1)": "드문 클래스의 예제 (사전 확률 .1)",
    "The prior in the logits asks the rare class for a lead of tau log 9.": (
        "로짓에 더한 사전 확률은 드문 클래스에 tau log 9만큼의 앞섬을 요구한다."
    ),
    "The pull lasts until the lead is there.": "그만큼 앞설 때까지 계속 당긴다.",
    "Class-balanced weights": "클래스 균형 가중치",
    "Relative to the largest class. A class of more than 1/(1 - beta) rows counts as large.": (
        "가장 큰 클래스에 대한 비다. 예제가 1/(1 - beta)개보다 많으면 큰 클래스로 친다."
    ),
    "LDAM: a class of so many rows": "LDAM: 행 수가 다른 클래스",
    "The fewer rows, the farther the true class must lead.": "행이 적을수록 참 클래스가 더 크게 앞서야 한다.",
    "A rare class is pulled on where a common one is let go. Scale 10, margins .5, .28, .16.": (
        "흔한 클래스를 놓아주는 곳에서도 드문 클래스는 계속 당긴다. 배율 10, 마진 .5, .28, .16이다."
    ),
    "ZLPR of one label": "레이블 하나의 ZLPR",
    "Present labels belong above 0, absent ones below.": "있는 레이블은 0 위에, 없는 레이블은 0 아래에 있어야 한다.",
    "Labels of one kind share a logarithm: the worst of them is pulled most.": (
        "같은 편 레이블은 로그 하나를 나누어 쓴다. 그 가운데 가장 나쁜 것을 가장 세게 당긴다."
    ),
    "CORN: four ordered classes": "CORN: 순서가 있는 네 클래스",
    "CORN: four ordered classes: the loss": "CORN: 순서가 있는 네 클래스: 손실",
    "Three answers, s + 2, s and s - 2: each class has its turn, and the probabilities add up to 1.": (
        "세 답 s + 2, s, s - 2에 대한 것이다. 클래스마다 차례가 있고, 확률의 합은 1이다."
    ),
    "-log P(y = k): dearer the farther away.": "-log P(y = k)이다. 멀수록 비싸다.",
    "Information content": "정보량",
    "A certain event says nothing; a rare one much.": "확실한 사건은 알려 주는 것이 없고, 드문 사건은 많다.",
    "Entropy and cross-entropy of a coin": "동전의 엔트로피와 교차 엔트로피",
    "The cross-entropy of p = .7 is least where q = p: there it is the entropy.": (
        "p = .7의 교차 엔트로피는 q = p에서 가장 작고, 그 값이 엔트로피다."
    ),
    "Losses for noisy labels": "잡음 섞인 레이블을 위한 손실",
    "What is bounded cannot be ruled by a few wrong labels, at the left.": (
        "위로 막힌 손실은 왼쪽의 몇몇 틀린 레이블에 휘둘리지 않는다."
    ),
    "Against the logit. Bounded losses let go of rows they find hopeless; that also makes them slow to start.": (
        "로짓에 대한 기울기다. 위로 막힌 손실은 크게 틀린 예제를 놓아준다. 그래서 학습 초기가 느리기도 하다."
    ),
    "The generator's two losses": "생성자의 두 손실",
    "At the left the critic is sure that the row is fake: where training begins.": (
        "왼쪽은 비평자가 가짜라고 확신하는 곳, 곧 학습이 시작되는 곳이다."
    ),
    "There the saturating loss has no slope left; the other has slope -1. The two slopes add up to -1.": (
        "거기서 포화 손실은 기울기가 없고, 비포화 손실은 기울기가 -1이다. 두 기울기를 더하면 -1이다."
    ),
    "The critic's loss": "비평자의 손실",
    "2 log 2 in all at D = 0, where it cannot tell.": "구별하지 못하는 D = 0에서 합이 2 log 2다.",
    "Least squares": "최소 제곱",
    "Targets 1 and 0: a score beyond its target costs again.": (
        "목표는 1과 0이다. 점수가 목표를 넘으면 다시 손실이 생긴다."
    ),
    "The pull grows with the distance, so nothing saturates.": "거리에 비례해 당기므로 포화하지 않는다.",
    "Hinge": "힌지",
    "The critic is content beyond ±1; the generator never is.": (
        "비평자는 ±1을 넘으면 만족하고, 생성자는 만족하지 않는다."
    ),
    "What one row's score is pulled by.": "한 예제의 점수를 당기는 힘이다.",
    "Wasserstein": "바서슈타인",
    "Straight lines: only the critic's slope holds them.": "직선이다. 비평자의 기울기 제한만이 이를 붙든다.",
    "Of pairs": "쌍의 손실",
    "Only the difference of the two scores counts.": "두 점수의 차만 센다.",
    "Penalties on a linear critic D = w x": "선형 비평자 D = w x의 벌점",
    "0 at slope 1; the one-sided form allows less.": "기울기 1에서 0이다. 한쪽 벌점은 더 작은 기울기를 허락한다.",
    "The critic's whole loss, two points at distance 1": "비평자의 전체 손실, 거리 1인 두 점",
    "Least at 1 + 1/(2 lambda): the gap is W1 only after division by the slope.": (
        "1 + 1/(2 lambda)에서 가장 작다. 점수 차를 기울기로 나누어야 W1이 된다."
    ),
    "Pull-away term of two codes": "두 코드의 밀어내기 항",
    "Least where they are at right angles. No data stands in it: it spreads codes apart.": (
        "직각일 때 가장 작다. 데이터가 들어 있지 않다. 코드를 서로 벌릴 뿐이다."
    ),
    "Equal codes are a stationary point: there it has no slope.": "같은 코드는 정류점이다. 거기서는 기울기가 없다.",
    "EBGAN: energy of a fake": "EBGAN: 가짜의 에너지",
    "The critic pushes a fake's energy up to the margin and no farther.": "비평자는 가짜의 에너지를 마진까지만 올린다.",
    "Beyond the margin the critic does not move; the generator still does.": (
        "마진을 넘으면 비평자는 움직이지 않고, 생성자는 계속 움직인다."
    ),
    "Cosine as a logit": "코사인을 로짓으로 쓰면",
    "A cosine ends at ±1, so the loss ends at log(1 + 1/e) = 0.313: it looks stuck, and is.": (
        "코사인은 ±1이 끝이므로 손실은 log(1 + 1/e) = 0.313이 끝이다. 멈춘 듯 보이고, 정말 멈춘 것이다."
    ),
    "Even a perfect pair is pulled: it can give no more.": "완벽한 쌍도 당긴다. 더 줄 것이 없는데도 그렇다.",
    "A scaled cosine above a threshold": "문턱값을 넘는 코사인을 늘린 것",
    "Scale 10, threshold 1/2: a settled pair costs next to nothing, which a raw cosine cannot reach.": (
        "배율 10, 문턱값 1/2. 자리 잡은 쌍은 거의 0이며, 코사인 그대로는 거기에 이르지 못한다."
    ),
    "The pull ends where the pair is settled.": "쌍이 자리 잡으면 당기지 않는다.",
    "SigLIP's two kinds of pairs, scale 10": "SigLIP의 두 가지 쌍, 배율 10",
    "One of 256 pairs belongs: the bias says so from the start, and -10 says one of 22,000.": (
        "256쌍 가운데 하나가 맞는 쌍이다. 편향은 처음부터 그렇게 말하고, -10은 22,000 가운데 하나라고 말한다."
    ),
    "At a cosine of 0 the pairs that do not belong hardly pull: there are 255 of them.": (
        "코사인이 0이면 맞지 않는 쌍은 거의 밀지 않는다. 그런 쌍이 255개나 있다."
    ),
    "Four pairs of views": "두 모습의 쌍 넷",
    "log 7 where all views are alike: the other view is one of seven. Other views have cosine 0 here.": (
        "모든 모습이 같으면 log 7이다. 짝은 일곱 가운데 하나이다. 여기서 다른 모습의 코사인은 0이다."
    ),
    "A low temperature pulls until the other view leads, and then lets go.": (
        "온도가 낮으면 짝이 앞설 때까지 당기고 그 뒤에는 놓는다."
    ),
    "Pairs by their distance": "거리에 따른 쌍의 손실",
    "Alike rows are drawn together, the farther the more; others are pushed until the margin.": (
        "닮은 행은 멀수록 세게 당기고, 나머지는 마진까지 민다."
    ),
    "Beyond the margin nothing pulls.": "마진 밖에서는 아무 힘도 없다.",
    "A triplet by its gap": "차이에 따른 세 행의 손실",
    "0 once the row of another kind is farther by the margin; the soft margin never quite ends.": (
        "다른 종류의 행이 마진만큼 더 멀면 0이다. 부드러운 마진은 완전히 끝나지 않는다."
    ),
    "All triplets that count pull alike: the hard ones decide by being counted.": (
        "세어지는 세 행은 모두 똑같이 당긴다. 어려운 것이 세어지기 때문에 결정한다."
    ),
    "VICReg's variance": "VICReg의 분산",
    "24.75 where a number is the same for all rows; 0 from a standard deviation of 1 on.": (
        "모든 행에서 수가 같으면 24.75이고, 표준편차가 1 이상이면 0이다."
    ),
    "A steady pull up to 1, and none beyond.": "1까지는 한결같이 당기고 그 뒤에는 당기지 않는다.",
    "Barlow Twins by a correlation": "상관에 따른 Barlow Twins",
    "A number should correlate with itself in the other view, and with no other number.": (
        "수는 다른 모습의 같은 수와 상관이 있고, 다른 수와는 없어야 한다."
    ),
    "There are many more pairs of numbers than numbers: the small weight evens them out.": (
        "수의 쌍은 수보다 훨씬 많다. 작은 무게가 그것을 고르게 한다."
    ),
    "Regression onto a fixed direction": "정해진 방향으로의 회귀",
    "Only the right code is looked at: no other pair is pushed away.": ("맞는 부호만 본다. 다른 쌍을 밀어내지 않는다."),
    "The same pull everywhere.": "어디서나 똑같이 당긴다.",
    "InfoNCE of four pairs": "네 쌍의 InfoNCE",
    "log 4 where nothing is known. A high temperature cannot come near 0.": (
        "아무것도 모르면 log 4다. 온도가 높으면 0에 가까이 갈 수 없다."
    ),
    "A low temperature pulls only until the right pair leads; a high one pulls for ever, and weakly.": (
        "온도가 낮으면 맞는 쌍이 앞설 때까지만 당긴다. 높으면 약하게, 끝없이 당긴다."
    ),
    "Four ways to see two laws move apart": "두 분포가 멀어짐을 보는 네 가지 방법",
    "JS ends at log 2 and TV at 1: far apart looks the same as farther.": (
        "JS는 log 2, TV는 1이 끝이다. 먼 것과 더 먼 것이 같아 보인다."
    ),
    "JS and TV give no direction to laws that hardly overlap; W1 always pulls with slope 1, KL ever harder.": (
        "거의 겹치지 않는 분포에 JS와 TV는 방향을 주지 못한다. W1은 늘 기울기 1로, KL은 갈수록 세게 당긴다."
    ),
    "Transport beside JS": "수송 거리와 JS",
    "Transport counts how far mass must go, so it keeps its slope.": (
        "수송은 질량이 갈 거리를 세므로 기울기를 잃지 않는다."
    ),
    "Chi-squared beside KL": "카이제곱과 KL",
    "exp(s²) - 1: it punishes misplaced mass more than anything else here.": (
        "exp(s²) - 1이다. 잘못 놓인 질량을 여기 있는 것 가운데 가장 세게 벌한다."
    ),
    "Distances of samples": "표본 사이의 거리",
    "A kernel sees as far as its width; the energy distance has no width.": (
        "커널은 제 폭만큼 멀리 본다. 에너지 거리에는 폭이 없다."
    ),
    "Narrow kernels lose the pull of far samples.": "좁은 커널은 먼 표본을 당기지 못한다.",
    "The two laws": "두 분포",
    "Grey: where the mass is. Blue: where it must go.": "회색은 질량이 있는 곳, 파란색은 가야 할 곳이다.",
    "The plan between two laws": "두 분포 사이의 수송 계획",
    "A square is mass that moves from x to y; W2² is 4.69. On a line the order is kept.": (
        "네모는 x에서 y로 옮기는 질량이다. W2²은 4.69다. 직선 위에서는 순서가 지켜진다."
    ),
    "N(0, 1) against N(0, (1 + s)²)": "N(0, 1)과 N(0, (1 + s)²)",
    "With little blur W2² = s²; the more blur, the more only the means count, and they are equal here.": (
        "흐림(blur)이 작으면 W2² = s²이다. 클수록 평균만 보는데, 여기서는 평균이 같다."
    ),
    "W2² of two normal laws": "두 정규 분포의 W2²",
    "d² either way.": "어느 쪽이든 d²이다.",
    "An energy: two wells": "에너지: 두 우물",
    "Only differences of energy matter.": "에너지는 차이만 뜻이 있다.",
    "Its Boltzmann law exp(-E/T) / Z": "그 볼츠만 분포 exp(-E/T) / Z",
    "Cold: only the bottoms. Hot: nearly flat.": "차가우면 바닥에만 있고, 뜨거우면 거의 고르다.",
    "Langevin chains": "랑주뱅 사슬",
    "14 chains, step .05. Each finds a hump soon; few cross between them.": (
        "사슬 14개, 걸음 .05다. 저마다 곧 봉우리를 찾지만, 봉우리 사이를 건너는 일은 드물다."
    ),
    "Where 4,000 chains are after 300 steps": "300걸음 뒤 사슬 4,000개의 자리",
    "Bars: the chains. Line: the law, exactly.": "막대는 사슬, 선은 정확한 분포다.",
    "Backwards from noise": "잡음에서 거꾸로",
    "Ancestral steps with the exact denoiser: the choice of a hump falls early.": (
        "정확한 잡음 제거기로 밟은 조상 걸음이다. 어느 봉우리로 갈지는 일찍 정해진다."
    ),
    "4,000 draws": "표본 4,000개",
    "Bars: draws. Line: the law, exactly.": "막대는 표본, 선은 정확한 분포다.",
    "The flow from N(0, 1) to the law": "N(0, 1)에서 분포로 가는 흐름",
    "Paths of an ODE never cross: the order on the line is kept.": (
        "상미분 방정식의 경로는 만나지 않는다. 직선 위의 순서가 지켜진다."
    ),
    "4,000 rows carried along": "흐름에 실려 간 예제 4,000개",
    "Bars: rows after 40 Heun steps. Line: the law, exactly.": (
        "막대는 호인(Heun) 40걸음 뒤의 예제, 선은 정확한 분포다."
    ),
    "Forward: data into noise": "정방향: 데이터에서 잡음으로",
    "Two humps melt into N(0, 1) as the signal's share of variance falls.": (
        "신호가 차지하는 분산의 몫이 줄면서 두 봉우리가 N(0, 1)로 녹아든다."
    ),
    "What is left of the signal": "남은 신호",
    "The cosine schedule destroys it evenly, the linear one early.": (
        "코사인 일정은 고르게, 선형 일정은 일찍 신호를 지운다."
    ),
    "Signal to noise": "신호 대 잡음",
    "In powers of ten.": "10의 거듭제곱으로 나타낸다.",
    "The law with noise added": "잡음을 더한 분포",
    "What denoising score matching can see at each sigma.": "각 sigma에서 잡음 제거 스코어 매칭이 볼 수 있는 것이다.",
    "Its score": "그 스코어",
    "Little noise: steep round each hump. Much: one gentle pull to the middle.": (
        "잡음이 적으면 봉우리마다 가파르고, 많으면 가운데로 완만하게 당긴다."
    ),
    "MALA chains": "MALA 사슬",
    "14 chains, step .2. A flat stretch is a refused proposal.": (
        "사슬 14개, 걸음 .2다. 평평한 곳은 제안이 기각된 걸음이다."
    ),
    "A long step, with and without the test": "긴 걸음, 검정이 있을 때와 없을 때",
    "Step .2. Bars: MALA, which follows the law. Langevin, without a test, makes a hump 1.3 times as wide.": (
        "걸음 .2다. 막대는 분포를 따르는 MALA다. 검정이 없는 랑주뱅은 봉우리를 1.3배 넓힌다."
    ),
    "Six moves of HMC": "HMC의 움직임 여섯",
    "20 leaps of .15 each, on a normal law with widths 2 and .3: a move goes along the law.": (
        "폭이 2와 .3인 정규 분포에서 .15씩 20번 뛴다. 움직임은 분포를 따라 뻗는다."
    ),
    "As many gradients of MALA": "기울기를 그만큼 쓴 MALA",
    "20 leaps of .15 with a fresh momentum each: a random walk, which gets less far.": (
        ".15씩 20번 뛰되 뛸 때마다 운동량을 새로 받는다. 무작위 걸음이라 멀리 못 간다."
    ),
    "Resonance: every length the same": "공명: 길이가 늘 같으면",
    "N(0, 1), 10 leaps of .62 are one whole turn: nothing is refused, nothing moves. R-hat is over 2.": (
        "N(0, 1)에서 .62씩 10번 뛰면 꼭 한 바퀴다. 기각되는 것도, 움직이는 것도 없다. R-hat은 2를 넘는다."
    ),
    "Lengths of 5 to 15 leaps": "5번에서 15번까지 뛰면",
    "The same step with jitter .5: the chains mix. R-hat is below 1.05.": (
        "같은 걸음에 jitter .5다. 사슬이 섞인다. R-hat은 1.05보다 작다."
    ),
    "Leaps of a trajectory": "궤적 하나의 뜀 수",
    "On N(0, s²) with step .5: twice the width, about twice the leaps. Nobody chose them.": (
        "걸음 .5, N(0, s²)에서다. 폭이 두 배면 뜀도 약 두 배다. 아무도 고르지 않았다."
    ),
    "A funnel: its width is e^v": "깔때기: 폭이 e^v다",
    "Bars: v in draws of 250 chains. Line: its law, N(0, 1).": (
        "막대는 사슬 250개에서 뽑은 v, 선은 그 분포 N(0, 1)이다."
    ),
    "Alone: all stay": "혼자서는 모두 머문다",
    "14 chains at a barrier of 10, all from the left well.": (
        "높이 10인 장벽 앞의 사슬 14개다. 모두 왼쪽 우물에서 출발한다."
    ),
    "Tempered: they cross": "템퍼링하면 건넌다",
    "The coldest of five levels, up to temperature 16: four of its chains.": (
        "온도 16까지 다섯 층 가운데 가장 차가운 층의 사슬 넷이다."
    ),
    "The share in the right well": "오른쪽 우물의 몫",
    "200 chains of each kind. Half of the law is there.": "종류마다 사슬 200개다. 분포의 절반이 거기 있다.",
    "The start: a wide normal law": "시작: 넓은 정규 분포",
    "Bars: 4,000 rows. Line: N(0, 9).": "막대는 예제 4,000개, 선은 N(0, 9)이다.",
    "On the way": "가는 길",
    "beta = .2. Bars: the rows. Line: the law of E_beta, exactly.": (
        "beta = .2다. 막대는 예제, 선은 E_beta의 정확한 분포다."
    ),
    "The end: the law": "끝: 목표 분포",
    "beta = 1: half of the rows in each hump.": "beta = 1이다. 봉우리마다 예제의 절반이 있다.",
    "log Z on the way": "가는 길의 log Z",
    "Every estimate, by 4,000 rows, is within .05 of the truth; at the end that is log(√(2π)) = .919.": (
        "예제 4,000개의 추정값은 모두 참값에서 .05 안에 있다. 끝의 참값은 log(√(2π)) = .919다."
    ),
    "N(0, 1) tilted by exp(-U)": "exp(-U)로 기울인 N(0, 1)",
    "U = 2 (x² - 1)². Bars: 4,000 rows after 4 levels of 2 moves. They began as N(0, 1).": (
        "U = 2 (x² - 1)²다. 막대는 네 단계를 두 번씩 움직인 예제 4,000개다. N(0, 1)에서 출발했다."
    ),
    "A step in search of itself": "제 길이를 찾는 걸음",
    "MALA on N(0, I), 10 columns, from a step of .02. The average is what is used in the end.": (
        "10차원 N(0, I)에서 걸음 .02로 출발한 MALA다. 마지막에는 평균을 쓴다."
    ),
    "Its acceptance": "그 채택률",
    "It settles at the target, .574.": "목표 .574에 자리 잡는다.",
    "Autocorrelation": "자기상관",
    "x' = .8 x + noise, 20 chains of 1,000 draws: .8 to the power of the lag.": (
        "x' = .8 x + 잡음, 표본 1,000개짜리 사슬 20개다. .8의 시차(lag) 제곱이다."
    ),
    "Effective sample size": "유효 표본 크기",
    "20,000 draws are worth (1 - rho) / (1 + rho) as many independent ones.": (
        "표본 20,000개의 값어치는 독립인 표본 (1 - rho) / (1 + rho)배다."
    ),
    "log Z between two bounds": "두 한계 사이의 log Z",
    "Two humps, 300 chains each way. More levels, a narrower bracket; the truth is in every one.": (
        "두 봉우리, 방향마다 사슬 300개다. 단계가 많을수록 구간이 좁고, 참값은 어느 구간에나 있다."
    ),
    "Losses of one energy": "에너지 하나의 여러 손실",
    "Data N(0, 1.7), E = lam x² / 2: all are least at .588 = 1 / 1.7. On a line, sliced is score matching.": (
        "데이터 N(0, 1.7), E = lam x² / 2다. 모두 1 / 1.7 = .588에서 가장 작다. 1차원에서 슬라이스는 스코어 매칭이다."
    ),
    "Two laws with other weights": "무게가 다른 두 분포",
    "log p of two humps: the right one holds half of the rows, or a tenth.": (
        "두 봉우리의 log p다. 오른쪽 봉우리에 예제의 절반, 또는 10분의 1이 있다."
    ),
    "Their scores are nearly the same": "스코어는 거의 같다",
    "They differ between the humps only, where hardly a row is: score matching hardly sees the weights.": (
        "예제가 거의 없는 봉우리 사이에서만 다르다. 스코어 매칭은 무게를 거의 보지 못한다."
    ),
    "The mean gradient of short chains": "짧은 사슬의 평균 기울기",
    "Data N(0, 1.7), step .1. Without a test it is 0 at .607 for every k; with one, at 1 / 1.7 = .588.": (
        "데이터 N(0, 1.7), 걸음 .1이다. 검정이 없으면 k와 상관없이 .607에서, 있으면 1 / 1.7 = .588에서 0이다."
    ),
    "A map of noise": "잡음의 사상",
    "x = z + 1.5 tanh 2z. Steep in the middle: it pulls rows apart there.": (
        "x = z + 1.5 tanh 2z다. 가운데가 가팔라 거기서 예제를 벌려 놓는다."
    ),
    "The density by change of variables": "변수 변환으로 얻은 밀도",
    "Bars: 4,000 rows f(z). Line: N(z; 0, 1) / f'(z). Between the humps it is low, never 0.": (
        "막대는 예제 f(z) 4,000개, 선은 N(z; 0, 1) / f'(z)다. 봉우리 사이에서 낮지만 0은 아니다."
    ),
    "The error of an autoencoder with one code": "코드가 하나인 오토인코더의 오차",
    "A linear one. Ring: two deviations of the law. Dark: large errors. The valley runs past the last row.": (
        "선형 오토인코더다. 고리는 분포의 표준편차 두 배다. 진할수록 오차가 크다. 골짜기는 예제 너머로 이어진다."
    ),
    "KSD² of a law that is moved": "옮긴 분포의 KSD²",
    "Rows of N(0, 1), the law N(m, 1): 0 at m = 0 only. The estimate from 300 rows is close.": (
        "예제는 N(0, 1), 분포는 N(m, 1)이다. m = 0일 때만 0이다. 예제 300개의 추정값이 이에 가깝다."
    ),
    "Equipartition: E[x E'(x)] = T": "등분배: E[x E'(x)] = T",
    "Rows at the quantiles of exp(-E/T), E = 2 (x² - 1)²: the mean is a thermometer, whatever E.": (
        "예제는 E = 2 (x² - 1)²일 때 exp(-E/T)의 분위수다. 어떤 E에서나 이 평균은 온도계다."
    ),
}


def korean(text: str) -> str:
    """A title or a note in Korean; as it is where none is known."""
    if text.endswith(GRADIENT):
        return f"{korean(text.removesuffix(GRADIENT))}: 기울기"
    return KOREAN.get(text, text)
