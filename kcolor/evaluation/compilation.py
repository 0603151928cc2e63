"""How the small models that evaluation runs are compiled."""

import keras


def compiled(model: keras.Model, *, elementwise: bool) -> keras.Model:
    """Compiles a model for `predict_on_batch`.

    XLA fuses long elementwise formulas, which is 2 to 3 times faster on a CPU, and is
    many times slower at convolutions there.

    Args:
        model: The model, which is changed.
        elementwise: Whether it is made of elementwise formulas only.

    Returns:
        `model`.
    """
    backend = keras.backend.backend()
    # JAX is slow without compilation; torch.compile needs a C++ compiler at run time.
    jit = {"tensorflow": elementwise, "jax": True}.get(backend, False)
    model.compile(jit_compile=jit)
    return model
