"""Apache TVM: models compiled for one processor, tuned within a budget, run here, in a file or over TVM's RPC.

The package is called ``omniforge.deploy.runtimes.tvm``; ``import tvm`` in its modules is Apache TVM. It imports nothing by
itself, because Apache TVM takes two seconds: ask ``RUNTIMES`` for ``"tvm"``, or import ``library`` to write and load
compiled files.
"""
