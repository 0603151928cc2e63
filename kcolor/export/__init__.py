"""Export: writes a trained network for other runtimes and proves that they agree.

Every file is written beside its target, run in its own runtime against Keras, and only
then renamed; what is out of its limits is removed. This package imports TensorFlow in
its modules, never here.
"""
