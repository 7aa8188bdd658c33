"""A user's weights exported by PaddleClas' own code, out of a checkout, for models without a layer of ours."""
