"""`kcolor fit`."""

import click

from kcolor.cli.shared import augmentation_options, log_to_terminal


@click.command()
@click.argument("system", type=click.Choice(["resnet", "unet", "pix2pix", "mobile"]))
@click.option(
    "-o",
    "--output",
    "run",
    required=True,
    type=click.Path(file_okay=False),
    help="Run folder to write.",
)
@click.option(
    "--data",
    multiple=True,
    metavar="SRC",
    help="Folder, .tar or .zip of color photographs, or tfds:NAME/SPLIT; repeatable. "
    "SRC=0.3 draws 30% of it in each pass. Without it: the photographs that come "
    "inside scikit-image.",
)
@click.option("--val-data", metavar="SRC", help="Source to validate on.")
@click.option("--backbone", metavar="NAME", help="Encoder, such as resnet18.")
@click.option(
    "--backbone-weights",
    default="imagenet",
    show_default=True,
    metavar="imagenet|none|FILE",
    help="Initial values of the encoder.",
)
@click.option(
    "--loss",
    type=click.Choice(["l2", "l1", "huber", "psnr"]),
    help="Pixel loss on ab; psnr: on the picture, best for last steps.  [default: as "
    "published, l1 for pix2pix, else l2]",
)
@click.option(
    "--perceptual",
    default=0.0,
    show_default=True,
    help="Weight of an LPIPS term on the recomposed picture.",
)
@click.option(
    "--colorfulness",
    default=0.0,
    show_default=True,
    help="Weight of a term that asks for the truth's colorfulness.",
)
@click.option("--lpips-weights", metavar="FILE", help="Parameters of LPIPS.")
@click.option(
    "--teacher",
    metavar="MODEL",
    help="Run, .keras file or bundled preset (mobile) whose answers are a second "
    "target (distillation).",
)
@click.option(
    "--teacher-weight",
    default=0.5,
    show_default=True,
    help="Share of the pixel loss that looks at the teacher.",
)
@click.option(
    "--discriminator",
    type=click.Choice(["patch", "classifier"]),
    default="patch",
    show_default=True,
    help="Of pix2pix: patch judges each 70x70 patch, so it sees local color and gives "
    "a gradient everywhere; classifier, the published one, judges the whole picture.",
)
@click.option(
    "--lambda-l1",
    default=100.0,
    show_default=True,
    help="Of pix2pix: weight of the pixel loss.",
)
@click.option(
    "--gan-loss",
    type=click.Choice(["bce", "hinge"]),
    default="bce",
    show_default=True,
    help="Of pix2pix: adversarial loss.",
)
@click.option(
    "--pretrain-epochs",
    default=0,
    show_default=True,
    help="Of pix2pix: first epochs on the pixel loss alone.",
)
@click.option("--size", default=256, show_default=True, help="Side of the crops.")
@click.option("--batch-size", default=16, show_default=True)
@click.option("--epochs", default=30, show_default=True)
@click.option("--steps-per-epoch", type=int, help="Without it: one pass over the data.")
@click.option(
    "--learning-rate",
    type=float,
    help="Peak rate.  [default: 2e-4 for pix2pix, else 1e-3]",
)
@click.option(
    "--encoder-rate",
    default=0.2,
    show_default=True,
    help="Factor on the encoder's learning rate.",
)
@click.option(
    "--schedule",
    type=click.Choice(["cosine", "one-cycle", "constant"]),
    default="cosine",
    show_default=True,
    help="Course of the learning rate after the warm-up.",
)
@click.option("--warmup-steps", default=100, show_default=True)
@click.option("--weight-decay", default=1e-4, show_default=True)
@click.option(
    "--clip-norm",
    default=1.0,
    show_default=True,
    help="Largest norm of the gradients; 0 for no limit.",
)
@click.option(
    "--ema",
    default=0.999,
    show_default=True,
    help="Momentum of the weights' moving average; 0 for none.",
)
@click.option(
    "--patience",
    default=0,
    show_default=True,
    help="Stop after so many epochs without a lower validation loss; 0: never.",
)
@click.option(
    "--freeze-epochs",
    default=0,
    show_default=True,
    help="First epochs in which the encoder stays as it is.",
)
@click.option(
    "--freeze-levels",
    default=0,
    show_default=True,
    help="Encoder levels (P1, P2, ...) that never move.",
)
@augmentation_options
@click.option(
    "--min-colorfulness",
    default=0.0,
    show_default=True,
    help="Leave out pictures of less colorfulness (M3; 15 is slight, 33 moderate).",
)
@click.option(
    "--val-fraction",
    default=0.05,
    show_default=True,
    help="Share to validate on without --val-data.",
)
@click.option(
    "--val-images",
    default=256,
    show_default=True,
    help="Most pictures to validate on.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "mixed_float16", "mixed_bfloat16"]),
    default="auto",
    show_default=True,
)
@click.option(
    "--cache",
    type=click.Choice(["none", "memory", "disk"]),
    default="none",
    show_default=True,
    help="Where decoded pictures are kept.",
)
@click.option(
    "--init-from",
    metavar="MODEL",
    help="Run, .keras file or bundled preset (mobile) to start from.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in the run folder.")
@click.option("--seed", default=0, show_default=True)
@click.pass_context
def fit(ctx, **arguments):
    """Train SYSTEM on a folder of color photographs.

    The run folder receives model.keras, history.csv, sample pictures, TensorBoard logs
    and checkpoints. With --resume, options that are not given are the run's own.
    """
    from kcolor.training.fit import fit, resume_arguments

    log_to_terminal()
    arguments["data"] = list(arguments["data"])
    if arguments["resume"]:
        saved = resume_arguments(arguments["run"])
        for name in arguments:
            source = ctx.get_parameter_source(name)
            if source is click.core.ParameterSource.DEFAULT and name in saved:
                arguments[name] = saved[name]
    history = fit(**arguments)
    click.echo(
        f"{arguments['run']}: {len(history)} epochs, "
        f"validation PSNR {history[-1]['val_psnr']:.2f} dB "
        f"(gray: {history[-1]['val_psnr_gray']:.2f})"
    )
