"""What lies between a number of one's own and a published one."""
