"""Live sessions: `/v1/live/sessions`, what watches and steers one, and what goes on from one."""
