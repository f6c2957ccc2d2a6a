"""Hybrid learning: behaviour cloning as a warm start, then PPO on r = w_I r_I + w_E r_E with r_I from GAIL."""
