"""Which operators must stay FP32 so that int8 is still as accurate: few evaluations, all of them kept."""
