"""The train step of pix2pix: two networks, two optimizers, on TensorFlow and on JAX.

What a reader would get wrong: Keras manages one optimizer. The generator's is handed
to `super().compile()`, which wraps it for loss scaling; the discriminator's is wrapped,
built, saved and restored here. Both are built in `compile`, because an unbuilt
optimizer is skipped on load with no more than a warning.
"""

from typing import Any

import keras
from keras import ops

GAN_LOSSES = ("bce", "hinge")


@keras.saving.register_keras_serializable("kcolor")
class Pix2Pix(keras.Model):
    """Trains a generator against a discriminator; calling it colorizes.

    The generator's loss is `lambda_l1` times the pixel loss plus the adversarial term;
    the discriminator's is the mean of its losses on real and on predicted ab.
    """

    def __init__(
        self, generator: keras.Model, discriminator: keras.Model, **kwargs: Any
    ) -> None:
        """Takes both networks, see `build_pix2pix_generator` and `build_discriminator`.

        Args:
            generator: `keras.Model` from lightness to ab.
            discriminator: `keras.Model` from lightness and ab to logits.
            **kwargs: `name`, `dtype` and the like, as `keras.Model` takes them.
        """
        super().__init__(**kwargs)
        self.generator, self.discriminator = generator, discriminator
        names = ("loss", "pixel_loss", "adversarial_loss", "discriminator_loss")
        self.trackers = {n: keras.metrics.Mean(name=n) for n in names}
        self.discriminator_optimizer: Any = None
        # A subclassed model must say so itself, or it cannot be saved before a call.
        self.built = True

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer,
        loss: keras.losses.Loss,
        lambda_l1: float = 100.0,
        gan_loss: str = "bce",
        adversarial: bool = True,
        **kwargs: Any,
    ) -> None:
        """Sets optimizers and losses, and builds both optimizers.

        Args:
            optimizer: The generator's `keras.optimizers.Optimizer`.
            discriminator_optimizer: The discriminator's.
            loss: `keras.losses.Loss` of target `(B, H, W, 3)` and ab `(B, H, W, 2)`.
            lambda_l1: Weight of `loss` beside the adversarial term.
            gan_loss: `"bce"` (the published one) or `"hinge"`.
            adversarial: Whether the discriminator takes part; without it this is the
                pixel loss alone, the stage that comes first.
            **kwargs: `jit_compile` and the like, as `keras.Model.compile` takes them.

        Raises:
            ValueError: If `gan_loss` is neither.
        """
        if gan_loss not in GAN_LOSSES:
            raise ValueError(
                f"`gan_loss` must be one of {', '.join(GAN_LOSSES)}. "
                f"Received: {gan_loss!r}"
            )
        super().compile(optimizer=optimizer, **kwargs)
        wrapper = keras.optimizers.LossScaleOptimizer
        if isinstance(self.optimizer, wrapper):
            if not isinstance(discriminator_optimizer, wrapper):
                discriminator_optimizer = wrapper(discriminator_optimizer)
        self.discriminator_optimizer = discriminator_optimizer
        self.pixel_loss, self.lambda_l1 = loss, lambda_l1
        self.gan_loss, self.adversarial = gan_loss, adversarial
        self.optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    def call(self, lightness: Any, training: bool = False) -> Any:
        """Predicts ab; see the generator."""
        return self.generator(lightness, training=training)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means that are reset at each epoch."""
        return list(self.trackers.values())

    @property
    def non_trainable_variables(self) -> list[keras.Variable]:
        """Also the discriminator's optimizer, for the JAX trainer to carry along."""
        variables = super().non_trainable_variables
        if keras.backend.backend() == "jax" and self.discriminator_optimizer:
            variables = variables + self.discriminator_optimizer.variables
        return variables

    def discriminator_loss(self, logits_real: Any, logits_fake: Any) -> Any:
        """Computes the discriminator's loss.

        Args:
            logits_real: Discriminator's answer to true ab, any shape.
            logits_fake: Its answer to predicted ab, the same shape.

        Returns:
            Scalar float32.
        """
        if self.gan_loss == "hinge":
            real = ops.mean(ops.relu(1.0 - logits_real))
            fake = ops.mean(ops.relu(1.0 + logits_fake))
        else:
            # Softplus is BCE on logits, finite for any of them.
            real = ops.mean(ops.softplus(-logits_real))
            fake = ops.mean(ops.softplus(logits_fake))
        return (real + fake) / 2

    def generator_adversarial_loss(self, logits_fake: Any) -> Any:
        """Computes how badly the generator fools the discriminator, a scalar."""
        if self.gan_loss == "hinge":
            return -ops.mean(logits_fake)
        return ops.mean(ops.softplus(-logits_fake))

    def train_step(self, *args: Any) -> Any:
        """Runs one step of both networks, on the TensorFlow or the JAX backend."""
        backend = keras.backend.backend()
        if backend == "jax":
            return self._train_step_jax(*args)
        if backend == "tensorflow":
            return self._train_step_tensorflow(*args)
        raise ValueError(
            "pix2pix trains on the TensorFlow and JAX backends. "
            f"Received: KERAS_BACKEND={backend}"
        )

    def _train_step_tensorflow(self, data):
        import tensorflow as tf

        lightness, target = data[:2]
        real = target[..., 1:]
        # Gradients of several devices are added up; a Keras loss is scaled for that.
        devices = tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape() as tape:
            fake = self.generator(lightness, training=True)
            pixel = self.pixel_loss(target, fake) * devices
            adversarial = ops.zeros(())
            if self.adversarial:
                logits = self.discriminator(
                    ops.concatenate([target[..., :1], fake], -1), training=False
                )
                adversarial = self.generator_adversarial_loss(logits)
            loss = self.lambda_l1 * pixel + adversarial
            scaled = self.optimizer.scale_loss(loss / devices)
        variables = self.generator.trainable_variables
        gradients = tape.gradient(scaled, [v.value for v in variables])
        self.optimizer.apply(gradients, variables)
        discriminator_loss = ops.zeros(())
        if self.adversarial:
            with tf.GradientTape() as tape:
                discriminator_loss = self._judge(target, real, fake)
                scaled = self.discriminator_optimizer.scale_loss(
                    discriminator_loss / devices
                )
            variables = self.discriminator.trainable_variables
            gradients = tape.gradient(scaled, [v.value for v in variables])
            self.discriminator_optimizer.apply(gradients, variables)
        return self._track(loss, pixel, adversarial, discriminator_loss)

    def _judge(self, target, real, fake):
        lightness = target[..., :1]
        fake = ops.stop_gradient(ops.cast(fake, "float32"))
        # One pass over both halves: BatchNorm and power iteration see one batch.
        pairs = ops.concatenate(
            [
                ops.concatenate([lightness, real], -1),
                ops.concatenate([lightness, fake], -1),
            ],
            axis=0,
        )
        logits = self.discriminator(pairs, training=True)
        count = ops.shape(lightness)[0]
        return self.discriminator_loss(logits[:count], logits[count:])

    def _train_step_jax(self, state, data):
        import jax

        trainable, non_trainable, optimizer_values, metric_values = state
        lightness, target = (ops.convert_to_tensor(part) for part in data[:2])
        position = {v.path: i for i, v in enumerate(self.trainable_variables)}
        own = [position[v.path] for v in self.generator.trainable_variables]
        other = [position[v.path] for v in self.discriminator.trainable_variables]
        # Everything that is neither trained nor an optimizer's, then the latter.
        count = len(self.discriminator_optimizer.variables)
        states, discriminator_values = non_trainable[:-count], non_trainable[-count:]
        rest = self.non_trainable_variables[:-count]
        g_states = [i for i, v in enumerate(rest) if self._is_in(v, self.generator)]
        d_states = [i for i, v in enumerate(rest) if self._is_in(v, self.discriminator)]
        d_values = [trainable[i] for i in other]

        def generator_loss(values):
            fake, updated = self.generator.stateless_call(
                values, [states[i] for i in g_states], lightness, training=True
            )
            pixel = self.pixel_loss(target, fake)
            adversarial = ops.zeros(())
            if self.adversarial:
                logits, _ = self.discriminator.stateless_call(
                    d_values,
                    [states[i] for i in d_states],
                    ops.concatenate([target[..., :1], fake], -1),
                    training=False,
                )
                adversarial = self.generator_adversarial_loss(logits)
            loss = self.lambda_l1 * pixel + adversarial
            with keras.StatelessScope(
                zip(self.optimizer.variables, optimizer_values, strict=True)
            ):
                scaled = self.optimizer.scale_loss(loss)
            return scaled, (loss, pixel, adversarial, fake, updated)

        def discriminator_loss(values, fake):
            pairs = ops.concatenate(
                [target, ops.concatenate([target[..., :1], fake], -1)], axis=0
            )
            logits, updated = self.discriminator.stateless_call(
                values, [states[i] for i in d_states], pairs, training=True
            )
            half = lightness.shape[0]
            loss = self.discriminator_loss(logits[:half], logits[half:])
            with keras.StatelessScope(
                zip(
                    self.discriminator_optimizer.variables,
                    discriminator_values,
                    strict=True,
                )
            ):
                scaled = self.discriminator_optimizer.scale_loss(loss)
            return scaled, (loss, updated)

        trainable, states = list(trainable), list(states)
        values = [trainable[i] for i in own]
        gradients, extra = jax.grad(generator_loss, has_aux=True)(values)
        loss, pixel, adversarial, fake, updated = extra
        values, optimizer_values = self.optimizer.stateless_apply(
            optimizer_values, gradients, values
        )
        _put(trainable, own, values)
        _put(states, g_states, updated)
        judged = ops.zeros(())
        if self.adversarial:
            fake = jax.lax.stop_gradient(ops.cast(fake, "float32"))
            gradients, (judged, updated) = jax.grad(discriminator_loss, has_aux=True)(
                d_values, fake
            )
            values, discriminator_values = self.discriminator_optimizer.stateless_apply(
                discriminator_values, gradients, d_values
            )
            _put(trainable, other, values)
            _put(states, d_states, updated)
        with keras.StatelessScope(
            zip(self.metrics_variables, metric_values, strict=True)
        ) as scope:
            logs = self._track(loss, pixel, adversarial, judged)
        metric_values = [scope.get_current_value(v) for v in self.metrics_variables]
        non_trainable = [*states, *discriminator_values]
        return logs, (trainable, non_trainable, optimizer_values, metric_values)

    def _is_in(self, variable, network):
        return any(variable is v for v in network.non_trainable_variables)

    def test_step(self, *args: Any) -> Any:
        """Measures the pixel loss of one batch; the JAX form carries the state."""
        if keras.backend.backend() != "jax":
            (data,) = args
            lightness, target = data[:2]
            pixel = self.pixel_loss(target, self.generator(lightness, training=False))
            zero = ops.zeros(())
            return self._track(self.lambda_l1 * pixel, pixel, zero, zero)
        state, data = args
        trainable, non_trainable, metric_values = state
        lightness, target = data[:2]
        variables = self.trainable_variables + self.non_trainable_variables
        with keras.StatelessScope(
            [
                *zip(variables, [*trainable, *non_trainable], strict=True),
                *zip(self.metrics_variables, metric_values, strict=True),
            ]
        ) as scope:
            pixel = self.pixel_loss(target, self.generator(lightness, training=False))
            zero = ops.zeros(())
            logs = self._track(self.lambda_l1 * pixel, pixel, zero, zero)
        metric_values = [scope.get_current_value(v) for v in self.metrics_variables]
        return logs, (trainable, non_trainable, metric_values)

    def _track(self, loss, pixel, adversarial, discriminator):
        values = (loss, pixel, adversarial, discriminator)
        for tracker, value in zip(self.trackers.values(), values, strict=True):
            tracker.update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "generator": serialize(self.generator),
            "discriminator": serialize(self.discriminator),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Pix2Pix":
        """Rebuilds the model from `get_config`'s dict."""
        config = dict(config)
        for name in ("generator", "discriminator"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)

    def get_compile_config(self) -> dict[str, Any] | None:
        """Returns what `compile_from_config` needs to restore both optimizers."""
        if self.discriminator_optimizer is None:
            return None
        serialize = keras.saving.serialize_keras_object
        return {
            "optimizer": serialize(self.optimizer),
            "discriminator_optimizer": serialize(self.discriminator_optimizer),
            "loss": serialize(self.pixel_loss),
            "lambda_l1": self.lambda_l1,
            "gan_loss": self.gan_loss,
            "adversarial": self.adversarial,
            "jit_compile": self.jit_compile,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model with `get_compile_config`'s dict."""
        config = dict(config)
        for name in ("optimizer", "discriminator_optimizer", "loss"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        self.compile(**config)


def _put(values, positions, new):
    for position, value in zip(positions, new, strict=True):
        values[position] = value
