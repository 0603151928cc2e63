"""The options of a training: names, types, defaults, limits and help, all of them here.

`kcolor fit` makes its command line from this class and a run folder's `config.json`
holds its fields, so that an option is written once. Importing it loads nothing heavy.
"""

from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_type_hints


@dataclass(frozen=True)
class SystemDefaults:
    """What a system trains with where the user does not say."""

    backbone: str
    loss: str = "l2"
    learning_rate: float = 1e-3


SYSTEMS = {
    "resnet": SystemDefaults("resnet34"),
    "unet": SystemDefaults("resnet34"),
    # Adversarial training diverges at rates that a plain loss bears.
    "pix2pix": SystemDefaults("resnet50", "l1", 2e-4),
    "mobile": SystemDefaults("mobilenet_v2"),
}


def _option(
    default: Any, help_text: str, metavar: str | None = None, at_least: Any = None
) -> Any:
    metadata = {"help": help_text, "metavar": metavar, "at_least": at_least}
    return field(default=default, metadata=MappingProxyType(metadata))


@dataclass(frozen=True)
class FitOptions:
    """Everything that `fit` can be told; each field's `metadata["help"]` says what.

    Paths are kept as strings, and one source of `data` as a tuple of one, so that equal
    options are equal and go to JSON and back.

    Raises:
        ValueError: If a value is out of range.
    """

    system: Literal["resnet", "unet", "pix2pix", "mobile"]
    run: Path | str = field(metadata={"help": "Run folder to write."})
    data: Path | str | Sequence[Path | str] = _option(
        (),
        "Folder, .tar or .zip of color photographs, URL of a .tar, or tfds:NAME/SPLIT; "
        "repeatable. "
        "SRC=0.3 draws 30% of it in each pass. Without it: the photographs that come "
        "inside scikit-image. A file that cannot be read is left out and listed in the "
        "run's bad_files.txt.",
        metavar="SRC",
    )
    val_data: Path | str | None = _option(
        None,
        "Source to validate on. Without it: a share of the data, see --val-fraction.",
        metavar="SRC",
    )
    backbone: str | None = _option(
        None, "Encoder, such as resnet18.  [default: the system's own]", metavar="NAME"
    )
    backbone_weights: Path | str = _option(
        "imagenet", "Initial values of the encoder.", metavar="imagenet|none|FILE"
    )
    loss: Literal["l2", "l1", "huber", "psnr"] | None = _option(
        None,
        "Pixel loss on ab; psnr: on the picture, best for last steps.  [default: as "
        "published, l1 for pix2pix, else l2]",
    )
    perceptual: float = _option(
        0.0,
        "Weight of an LPIPS term on the recomposed picture, on half of each batch.",
        at_least=0,
    )
    perceptual_layers: int = _option(
        3,
        "Layers of the LPIPS term, 1 to 5, counted from the image; 5 are all of it.",
    )
    colorfulness: float = _option(
        0.0, "Weight of a term that asks for the truth's colorfulness.", at_least=0
    )
    psnr: float = _option(
        0.0,
        "Weight of the loss psnr beside another pixel loss; mobile has 2.3.",
        at_least=0,
    )
    lpips_weights: Path | str | None = _option(
        None,
        "Parameters of LPIPS.  [default: what KCOLOR_LPIPS_WEIGHTS names, else those "
        "of the package]",
        metavar="FILE",
    )
    teacher: Path | str | None = _option(
        None,
        "Run, .keras file or preset, such as mobile, whose answers are a second target "
        "(distillation).",
        metavar="MODEL",
    )
    teacher_weight: float = _option(
        0.5, "Share of the pixel loss that looks at the teacher, 0 to 1."
    )
    discriminator: Literal["patch", "classifier"] = _option(
        "patch",
        "Of pix2pix: patch judges each 70x70 patch, so it sees local color and gives a "
        "gradient everywhere; classifier, the published one, judges the whole picture.",
    )
    lambda_l1: float = _option(
        100.0,
        "Of pix2pix: weight of the pixel loss beside the adversarial term.",
        at_least=0,
    )
    gan_loss: Literal["bce", "hinge"] = _option("bce", "Of pix2pix: adversarial loss.")
    pretrain_epochs: int = _option(
        0, "Of pix2pix: first epochs on the pixel loss alone."
    )
    size: int = _option(256, "Side of the crops, in pixels, a multiple of 32.")
    batch_size: int = _option(16, "Pictures per step.", at_least=1)
    epochs: int = _option(30, "Epochs in all.", at_least=1)
    steps_per_epoch: int | None = _option(
        None, "Steps per epoch. Without it: one pass over the data.", at_least=1
    )
    learning_rate: float | None = _option(
        None, "Peak rate.  [default: 2e-4 for pix2pix, else 1e-3]"
    )
    encoder_rate: float = _option(
        0.2,
        "Factor on the learning rate of the encoder, which is pretrained.",
        at_least=0,
    )
    schedule: Literal["cosine", "one-cycle", "constant"] = _option(
        "cosine",
        "Course of the learning rate: cosine, down to 1% after a warm-up; one-cycle, "
        "the same with a warm-up of 30% of the steps; constant after the warm-up. A "
        "stage that freezes or pretrains has a course of its own.",
    )
    warmup_steps: int = _option(
        100, "Steps of linear warm-up, at most a tenth of a stage's.", at_least=0
    )
    weight_decay: float = _option(1e-4, "Decoupled weight decay of AdamW.", at_least=0)
    clip_norm: float = _option(
        1.0, "Largest norm of the gradients; 0 for no limit.", at_least=0
    )
    ema: float = _option(
        0.999,
        "Momentum of the weights' moving average, which is what is validated and "
        "saved; 0 for none. Lowered for runs too short for it.",
    )
    patience: int = _option(
        0,
        "Stop after so many epochs without a lower validation loss, and keep the best "
        "epoch's model; 0: never, and the last epoch's is kept.",
        at_least=0,
    )
    freeze_epochs: int = _option(0, "First epochs in which the encoder stays as it is.")
    freeze_levels: int = _option(
        0, "Encoder levels (P1, P2, ...) that never move.", at_least=0
    )
    crop_min: float = _option(
        0.5,
        "Least side of a crop, as a share of the picture's shorter side. A network is "
        "best at the scale it was trained at: cut large pictures small.",
    )
    crop_max: float = _option(1.0, "Greatest side of a crop.")
    whole_share: float = _option(
        0.0,
        "Share of the pictures that are squashed to the square whole instead of "
        "cropped, as evaluation and files of a fixed size see them: for a last stage.",
    )
    degrade: float = _option(0.0, "Share of inputs made to look like old photographs.")
    hints_share: float = _option(
        0.0,
        "Of mobile: share of the pictures that come with known colors, 1 to 100 "
        "squares of truth, half of them with an area recolored; the network then takes "
        "them beside lightness.",
    )
    min_colorfulness: float = _option(
        0.0,
        "Leave pictures of less colorfulness (M3; 15 is slight, 33 moderate) out of "
        "training; validation keeps them.",
        at_least=0,
    )
    val_fraction: float = _option(
        0.05,
        "Share to validate on without --val-data, chosen by a hash of the file names.",
    )
    val_images: int = _option(
        256, "Most pictures to validate on, spread evenly over the list.", at_least=1
    )
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = _option(
        "auto",
        "Keras' dtype policy; auto: float32 on a CPU, mixed where the GPU has units "
        "for it.",
    )
    cache: Literal["none", "memory", "disk"] = _option(
        "none",
        "Where decoded pictures are kept; disk: in the run folder, until the run ends.",
    )
    init_from: Path | str | None = _option(
        None,
        "Run, .keras file or preset, such as mobile, to start from (fine-tuning).",
        metavar="MODEL",
    )
    resume: bool = _option(False, "Go on with the run in the run folder.")
    seed: int = _option(
        0, "Seed of initial values, order and augmentation.", at_least=0
    )

    def __post_init__(self) -> None:
        """Brings values to one form and checks them."""
        sources = self.data
        if isinstance(sources, Path | str):
            sources = (sources,)
        object.__setattr__(self, "data", tuple(map(str, sources)))
        for option in fields(self):
            value = getattr(self, option.name)
            if isinstance(value, Path):
                object.__setattr__(self, option.name, str(value))
        for option in fields(self):
            self._check(option)
        self._check_ranges()

    def _check(self, option: Field) -> None:
        value = getattr(self, option.name)
        if value is None:
            return
        allowed = choices(option.name)
        if allowed and value not in allowed:
            raise ValueError(
                f"`{option.name}` must be one of {', '.join(allowed)}. "
                f"Received: {value!r}"
            )
        least = option.metadata.get("at_least")
        if least is not None and not value >= least:  # Of NaN neither holds.
            raise ValueError(
                f"`{option.name}` must be at least {least}. Received: {value}"
            )

    def _check_ranges(self) -> None:
        if self.size < 32 or self.size % 32:
            raise ValueError(f"`size` must be a multiple of 32. Received: {self.size}")
        for name in ("freeze_epochs", "pretrain_epochs"):
            if not 0 <= getattr(self, name) <= self.epochs:
                raise ValueError(
                    f"`{name}` must be 0 to {self.epochs} (all epochs). "
                    f"Received: {getattr(self, name)}"
                )
        if not 1 <= self.perceptual_layers <= 5:
            raise ValueError(
                "`perceptual_layers` must be 1 to 5. "
                f"Received: {self.perceptual_layers}"
            )
        if not 0 < self.crop_min <= self.crop_max <= 1:
            raise ValueError(
                "`crop_min` and `crop_max` must be 0 < crop_min <= crop_max <= 1. "
                f"Received: {self.crop_min} and {self.crop_max}"
            )
        for name in ("whole_share", "degrade", "teacher_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"`{name}` must lie in [0, 1]. Received: {getattr(self, name)}"
                )
        if not 0 <= self.hints_share <= (self.system == "mobile"):
            raise ValueError(
                "`hints_share` must lie in [0, 1], and is for mobile alone. "
                f"Received: {self.hints_share} for {self.system}"
            )
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise ValueError(
                f"`learning_rate` must be over 0. Received: {self.learning_rate}"
            )
        if not 0 <= self.ema < 1:
            raise ValueError(f"`ema` must lie in [0, 1). Received: {self.ema}")
        if not 0 < self.val_fraction < 1:
            raise ValueError(
                f"`val_fraction` must lie in (0, 1). Received: {self.val_fraction}"
            )

    def with_defaults(self) -> "FitOptions":
        """Returns these options, what the system decides filled in."""
        own = SYSTEMS[self.system]
        missing = {
            name: getattr(own, name)
            for name in ("backbone", "loss", "learning_rate")
            if getattr(self, name) is None
        }
        return replace(self, **missing)

    def to_json(self) -> dict[str, Any]:
        """Returns a dict fit for JSON, whose items make equal options again."""
        values = {option.name: getattr(self, option.name) for option in fields(self)}
        return {**values, "data": list(values["data"])}


_TYPES = get_type_hints(FitOptions)


def value_type(name: str) -> type:
    """Returns what an option holds: `bool`, `int`, `float`, or `str` for the others."""
    kinds = {_TYPES[name], *get_args(_TYPES[name])}
    return next((kind for kind in (bool, int, float) if kind in kinds), str)


def choices(name: str) -> tuple[str, ...]:
    """Returns the values that an option may have; empty where they are not listed."""
    hint = _TYPES[name]
    for kind in (hint, *get_args(hint)):
        if getattr(kind, "__origin__", None) is Literal:
            return get_args(kind)
    return ()
