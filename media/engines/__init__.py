"""The engines that move packets; `media.relay` alone chooses one."""
