"""How a policy is trained: behaviour cloning, GAIL, PPO. Algorithms know neither files nor runs."""
