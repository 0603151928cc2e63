"""Cards and files of trained networks. `kcolor` reads them; nothing is imported."""
