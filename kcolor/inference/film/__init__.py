"""Films: read, colorized without flicker, written with everything else they hold.

`steady` and `motion` know arrays alone; `reading`, `chroma` and `writing` meet FFmpeg
through PyAV, which `kcolor[video]` brings; `work` lets an interrupted film go on;
`colorize` is the way through them.
"""
