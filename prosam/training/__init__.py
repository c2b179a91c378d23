"""Training a prompt encoder. A resumed training ends with the same bits as an undisturbed one."""
