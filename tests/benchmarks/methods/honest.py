"""Built-in methods with other hyperparameters under names of their own: honest bundles for `false_alarms.py`."""

from dataclasses import dataclass

from baselines.batch_ensemble import BatchEnsemble
from baselines.checkpoint_ensemble import CheckpointEnsemble
from baselines.deep_ensemble import DeepEnsemble
from baselines.implicit_vi import ImplicitVI
from baselines.ivon import IVON
from baselines.kl_vi import KLVI
from baselines.laplace import Laplace
from baselines.last_layer_vi import LastLayerVI
from baselines.masksembles import Masksembles
from baselines.mc_dropout import MCDropout
from baselines.mixup import Mixup
from baselines.sghmc import SGHMC
from baselines.sgld import SGLD
from baselines.sngp import SNGP
from baselines.swag import SWAG
from baselines.vbll import VBLL


@dataclass(frozen=True)
class HeavyDropout(MCDropout):
    rate: float = 0.3
    passes: int = 16


@dataclass(frozen=True)
class LightDropout(MCDropout):
    rate: float = 0.02
    passes: int = 24


@dataclass(frozen=True)
class HeadDropout(MCDropout):
    rate: float = 0.5
    placement: str = "head"


@dataclass(frozen=True)
class ThreeNets(DeepEnsemble):
    members: int = 3


@dataclass(frozen=True)
class SevenNets(DeepEnsemble):
    members: int = 7


@dataclass(frozen=True)
class StrongMixup(Mixup):
    alpha: float = 1.0


@dataclass(frozen=True)
class ThreeSnapshots(CheckpointEnsemble):
    members: int = 3


@dataclass(frozen=True)
class ColdHead(LastLayerVI):
    kl_weight: float = 0.1
    structure: str = "full"


@dataclass(frozen=True)
class RankThree(ImplicitVI):
    rank: int = 3
    draws: int = 16


@dataclass(frozen=True)
class RankOneLast(ImplicitVI):
    rank: int = 1
    layers: str = "last"


@dataclass(frozen=True)
class RankTwenty(ImplicitVI):
    rank: int = 20
    draws: int = 8


@dataclass(frozen=True)
class ColdWeights(KLVI):
    kl_weight: float = 0.01
    draws: int = 16


@dataclass(frozen=True)
class AllLaplace(Laplace):
    structure: str = "diag"


@dataclass(frozen=True)
class ShortPath(SWAG):
    epochs: int = 3
    rank: int = 5
    draws: int = 10


@dataclass(frozen=True)
class ThreeFast(BatchEnsemble):
    members: int = 3
    spread: float = 0.3


@dataclass(frozen=True)
class SixMasks(Masksembles):
    members: int = 6
    scale: float = 1.5


@dataclass(frozen=True)
class CoolLangevin(SGLD):
    samples: int = 8
    temperature: float = 0.1


@dataclass(frozen=True)
class TwoCycles(SGHMC):
    cycles: int = 2
    samples: int = 5


@dataclass(frozen=True)
class DiagVbll(VBLL):
    structure: str = "diag"


@dataclass(frozen=True)
class FlatNewton(IVON):
    hess_init: float = 3.0
    draws: int = 16


@dataclass(frozen=True)
class LooseProcess(SNGP):
    features: int = 256
    bound: float = 10.0
