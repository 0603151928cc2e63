"""What trains: a network, the model around it that has the train step, and the loss.

`fit` and the benchmarks build it here, so that what is measured is what trains.
"""

from dataclasses import dataclass

import keras

from kcolor import models
from kcolor.losses import ColorizationLoss
from kcolor.metrics.lpips import build_lpips, find_weights
from kcolor.models.backbones import is_backbone
from kcolor.models.known import takes_known, without_known
from kcolor.models.mobile import add_known_input
from kcolor.models.surgery import freeze, under_policy
from kcolor.runtimes.keras import load_model
from kcolor.training.devices import fuse_batch_norm, on_tensorflow_cpu
from kcolor.training.gan import Pix2Pix
from kcolor.training.optimizer import LayerwiseAdamW
from kcolor.training.options import SYSTEMS, FitOptions
from kcolor.training.stages import Stage, learning_rate

BUILDERS = {
    "resnet": models.build_resnet,
    "unet": models.build_unet,
    "pix2pix": models.build_pix2pix_generator,
    "mobile": models.build_mobile,
}


@dataclass(frozen=True)
class Trainer:
    """A network ready to be compiled and trained.

    Attributes:
        options: With the system's defaults filled in.
        network: `keras.Model` from lightness to ab, which is what a run saves.
        model: `keras.Model` whose `fit` trains it: `network` itself, or the `Pix2Pix`
            around it.
        loss: The loss of `network`.
    """

    options: FitOptions
    network: keras.Model
    model: keras.Model
    loss: ColorizationLoss

    def compile(self, stage: Stage, steps_per_epoch: int) -> None:
        """Prepares a stage: what moves, at which rates, with fresh optimizers.

        Args:
            stage: The stage to come.
            steps_per_epoch: Its steps per epoch.
        """
        options, encoder = self.options, self.network.get_layer("encoder")
        freeze(encoder, stage.frozen, options.freeze_levels)
        total = steps_per_epoch * (stage.last - stage.first)
        # An average over more steps than a stage has would mostly be its first values.
        momentum = max(0.0, min(options.ema, 1 - 20 / total))
        optimizer = self._optimizer(
            total,
            rates={v.path: options.encoder_rate for v in encoder.trainable_variables},
            use_ema=momentum > 0,
            ema_momentum=momentum,
        )
        # XLA on a CPU is 1.5 to 20 times slower than TensorFlow's own kernels.
        on_cpu = on_tensorflow_cpu()
        if on_cpu:
            fuse_batch_norm(self.model)
        jit_compile = False if on_cpu else "auto"
        if self.model is self.network:
            self.network.compile(
                optimizer=optimizer, loss=self.loss, jit_compile=jit_compile
            )
            self.network.optimizer.build(self.network.trainable_variables)
            return
        self.model.compile(
            optimizer=optimizer,
            # The discriminator forgets its momentum sooner, as in the publication.
            discriminator_optimizer=self._optimizer(total, beta_1=0.5),
            loss=self.loss,
            lambda_l1=options.lambda_l1,
            gan_loss=options.gan_loss,
            adversarial=stage.adversarial,
            jit_compile=jit_compile,
        )

    def _optimizer(self, total, **more):
        return LayerwiseAdamW(
            learning_rate(self.options, total),
            weight_decay=self.options.weight_decay,
            global_clipnorm=self.options.clip_norm or None,
            **more,
        )


def build_trainer(options: FitOptions) -> Trainer:
    """Builds what trains under the global dtype policy; nothing is compiled yet.

    Args:
        options: Options of the training; those about the run folder, the data and the
            course of the training play no part here.

    Returns:
        `Trainer`.

    Raises:
        ValueError: If the backbone is unknown or has fewer levels than are frozen, the
            network to start from is not the one asked for, or the perceptual term finds
            no parameters.
        DataError: If weights, start or teacher cannot be read.
    """
    chosen = options.with_defaults()
    backbone, pixel_loss = str(chosen.backbone), str(chosen.loss)
    if options.init_from is None:
        # A resumed run takes all values from its checkpoint, but the file still decides
        # whether BatchNorm is folded, so it is read again.
        network = BUILDERS[chosen.system](backbone, chosen.backbone_weights)
    else:
        network = _start(options)
    if chosen.hints_share and not takes_known(network):
        # It answers as before until it has seen hints.
        network = add_known_input(network)
    # Checked here, before there is a run folder that would keep a wrong value.
    freeze(network.get_layer("encoder"), False, chosen.freeze_levels)
    model = network
    if chosen.system == "pix2pix":
        model = Pix2Pix(network, models.build_discriminator(chosen.discriminator))
    teacher = None
    if chosen.teacher is not None:
        teacher = without_known(load_model(chosen.teacher))
    loss = ColorizationLoss(
        pixel_loss,
        chosen.perceptual,
        chosen.colorfulness,
        _lpips(chosen),
        teacher=teacher,
        teacher_weight=chosen.teacher_weight,
        psnr=chosen.psnr,
    )
    return Trainer(chosen, network, model, loss)


def _start(options):
    network = load_model(options.init_from)
    if network.name in SYSTEMS and network.name != options.system:
        raise ValueError(
            f"`init_from` must hold a network of the system {options.system}. "
            f"Received: {options.init_from}, which holds a {network.name}"
        )
    if options.backbone is not None and not is_backbone(
        network.get_layer("encoder"), options.backbone
    ):
        raise ValueError(
            f"`init_from` must hold a network on the backbone {options.backbone}; "
            "leave the backbone out to train what the file holds. "
            f"Received: {options.init_from}"
        )
    return under_policy(network, keras.config.dtype_policy().name)


def _lpips(options):
    if not options.perceptual:
        return None
    path = find_weights(options.lpips_weights)
    if path is None:
        raise ValueError(
            "`perceptual` needs LPIPS' parameters: give --lpips-weights FILE or set "
            f"KCOLOR_LPIPS_WEIGHTS. Received: perceptual={options.perceptual}"
        )
    return build_lpips(path, layers=options.perceptual_layers)
