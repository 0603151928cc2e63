"""The figures that `kcolor export` prints."""

from typing import Any

from kcolor.benchmark import align


def table(report: dict[str, Any]) -> str:
    """Lays a report out as text.

    Args:
        report: Dict as `kcolor.export.export` returns it.

    Returns:
        String of several lines.
    """
    differences = report["differences"]
    lines = [
        [f"{report['file']}", ""],
        ["size", f"{report['bytes'] / 1e6:.2f} MB"],
        *(
            [
                f"latency, {row['threads']} thread{'s' * (row['threads'] > 1)}"
                + ", known colors" * row["hints"],
                f"{row['latency_ms']['median']:.1f} ms",
            ]
            for row in report["latency"]
        ),
        ["pictures compared with Keras", str(differences["pictures"])],
        ["ab, mean difference", f"{differences['ab_mean']:.4f}"],
        ["ab, largest difference", f"{differences['ab_max']:.4f}"],
        ["levels of 255, mean difference", f"{differences['levels_mean']:.4f}"],
        ["levels of 255, largest difference", f"{differences['levels_max']}"],
    ]
    if "hinted" in differences:
        hinted = differences["hinted"]
        shown = f"{hinted['levels_mean']:.4f}, {hinted['levels_max']}"
        lines.append(["with known colors: mean, largest", shown])
    if report["cost"]:
        lines.append(["pictures with true colors", str(report["cost"]["images"])])
    for metric, figures in (report["cost"] or {}).items():
        if metric != "images":
            lines.append(
                [
                    f"{metric}: Keras, file",
                    f"{figures['keras']:.4f}, {figures['file']:.4f}",
                ]
            )
    return align(lines)
