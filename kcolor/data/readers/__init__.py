"""How a source's files are found and read: one module for each kind of storage.

A reader has `names`, a sequence of the POSIX paths inside it, and `read(position)`,
which any number of threads may call at once. It knows nothing of pictures: which names
are pictures, and which of them form pairs, is for `kcolor.data.pairs`.
"""
