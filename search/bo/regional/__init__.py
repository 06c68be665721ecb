"""Search within a trust region: its rules (`region`), its parts (`box`) and the strategy ``of-hd`` (`strategy`)."""
