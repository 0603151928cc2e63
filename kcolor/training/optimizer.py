"""The optimizer of every system: AdamW whose steps can differ from layer to layer."""

from collections.abc import Mapping
from typing import Any

import keras


@keras.saving.register_keras_serializable("kcolor")
class LayerwiseAdamW(keras.optimizers.AdamW):
    """AdamW that multiplies the learning rate of chosen variables.

    A pretrained encoder needs smaller steps than a fresh decoder. Scaling gradients
    would not do it, since Adam divides the scale out again.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        rates: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Sets the rates.

        Args:
            learning_rate: Float or schedule, as in `keras.optimizers.AdamW`.
            rates: Dict of variable path to the factor on its learning rate; a path
                that is not named has factor 1.
            **kwargs: As in `keras.optimizers.AdamW`.
        """
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.rates = dict(rates or {})

    def build(self, variables: list[keras.Variable]) -> None:
        """Creates the moments and looks up each variable's rate."""
        if not self.built:
            self._factors = [self.rates.get(v.path, 1.0) for v in variables]
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable at its own rate."""
        # By index: on TensorFlow, `variable` is the bare tf.Variable without a path.
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)

    def finalize_variable_values(self, var_list: list[keras.Variable]) -> None:
        """Puts the averages into the variables that are this optimizer's own.

        Keras hands over all of a model's variables at the end of `fit`; of a model with
        two optimizers, the others are none of this one's business.
        """
        super().finalize_variable_values(self._trainable_variables)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        return {**super().get_config(), "rates": self.rates}
