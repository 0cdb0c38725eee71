"""PPO on CartPole with nothing but the standard library, logging one JSON object per event.

    spanbridge exec -- python3 examples/cartpole.py [updates, 250 by default]
"""
import json
import math
import random
import sys
import time
from collections import deque
from datetime import datetime, timezone

UPDATES = int(sys.argv[1]) if len(sys.argv) > 1 else 250
SEED, NUM_ENVS, ROLLOUT_LENGTH, MAX_STEPS = 7, 8, 128, 500
GAMMA, GAE_LAMBDA, CLIP_EPS, ENTROPY_COEF, EPOCHS = 0.99, 0.95, 0.2, 0.01, 4
LEARNING_RATE, EVAL_EVERY, EVAL_EPISODES, WINDOW = 0.5, 10, 5, 32


def emit(message, level="INFO", **fields):
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    print(json.dumps({"timestamp": now, "level": level, "message": message, **fields}), flush=True)


def reset(rng):
    return [rng.uniform(-0.05, 0.05) for _ in range(4)]


def step(state, action):
    """One Euler step of the classic cart-pole equations; returns the next state and whether the pole fell."""
    x, v, theta, omega = state
    sin, cos = math.sin(theta), math.cos(theta)
    push = ((10.0 if action else -10.0) + 0.05 * omega * omega * sin) / 1.1
    alpha = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos * cos / 1.1))
    x, v = x + 0.02 * v, v + 0.02 * (push - 0.05 * alpha * cos / 1.1)
    theta, omega = theta + 0.02 * omega, omega + 0.02 * alpha
    return [x, v, theta, omega], abs(x) > 2.4 or abs(theta) > math.radians(12)


def features(state):
    """Inputs of policy and critic. The task is its own mirror image: the policy is odd in the state, the value even."""
    a, b, c, d = state[0] / 2.4, state[1] / 2, state[2] / 0.21, state[3] / 2
    return (a, b, c, d), (1.0, a * a, a * b, a * c, a * d, b * b, b * c, b * d, c * c, c * d, d * d)


def dot(weights, values):
    return sum([w * v for w, v in zip(weights, values)])


def rollout(rng, envs, lengths, actor, critic, finished):
    """Play ROLLOUT_LENGTH steps in each environment, then go back over them for the advantages (GAE)."""
    batch = []
    for env in range(NUM_ENVS):
        state, steps = envs[env], []
        for _ in range(ROLLOUT_LENGTH):
            policy_in, value_in = features(state)
            p = 1 / (1 + math.exp(-dot(actor, policy_in)))
            action = int(rng.random() < p)
            state, fell = step(state, action)
            lengths[env] += 1
            done = fell or lengths[env] >= MAX_STEPS
            # A pole that still stands at the step limit has a future: only a fall is worth nothing.
            next_value = 0.0 if fell else dot(critic, features(state)[1])
            steps.append((policy_in, value_in, action, p if action else 1 - p, next_value, done))
            if done:
                finished.append(lengths[env])
                state, lengths[env] = reset(rng), 0
        envs[env], advantage = state, 0.0
        for policy_in, value_in, action, old_p, next_value, done in reversed(steps):
            value = dot(critic, value_in)
            # The reward of 1 is scaled by 1 - GAMMA, which keeps values between 0 and 1.
            delta = (1 - GAMMA) + GAMMA * next_value - value
            advantage = delta + (0.0 if done else GAMMA * GAE_LAMBDA * advantage)
            batch.append((policy_in, value_in, action, old_p, advantage, advantage + value))
    return batch


def gradients(batch, actor, critic, mean, std):
    """Gradients of the clipped PPO loss and of the value loss over the batch, by hand, and the losses themselves."""
    actor_grad, critic_grad, n = [0.0] * len(actor), [0.0] * len(critic), len(batch)
    actor_loss = critic_loss = entropy = 0.0
    for policy_in, value_in, action, old_p, advantage, target in batch:
        advantage = (advantage - mean) / std
        logit = dot(actor, policy_in)
        p = 1 / (1 + math.exp(-logit))
        ratio = (p if action else 1 - p) / old_p
        clipped = min(max(ratio, 1 - CLIP_EPS), 1 + CLIP_EPS)
        actor_loss -= min(ratio * advantage, clipped * advantage) / n
        entropy += (math.log1p(math.exp(logit)) - p * logit) / n
        slope = ENTROPY_COEF * logit * p * (1 - p)
        if ratio * advantage <= clipped * advantage:  # beyond the clip the surrogate is flat
            slope -= advantage * ratio * (action - p)
        error = dot(critic, value_in) - target
        critic_loss += 0.5 * error * error / n
        actor_grad = [g + slope * f / n for g, f in zip(actor_grad, policy_in)]
        critic_grad = [g + error * f / n for g, f in zip(critic_grad, value_in)]
    return actor_grad, critic_grad, {"actor_loss": actor_loss, "critic_loss": critic_loss, "entropy": entropy}


def episode_stats(lengths):
    """Every step is worth 1, so an episode's return is its length."""
    stats = {"mean": sum(lengths) / len(lengths), "max": max(lengths), "min": min(lengths)}
    returns = {f"{name}_return": float(value) for name, value in stats.items()}
    return {**returns, **{f"episode_length_{name}": value for name, value in stats.items()}}


def evaluate(actor, seed):
    rng, lengths, started = random.Random(seed), [], time.perf_counter()
    for _ in range(EVAL_EPISODES):
        state, length, fell = reset(rng), 0, False
        while not fell and length < MAX_STEPS:
            state, fell = step(state, dot(actor, features(state)[0]) > 0)
            length += 1
        lengths.append(length)
    return {**episode_stats(lengths), "duration_ms": 1000 * (time.perf_counter() - started)}


def main():
    emit("startup", task="CartPole", seed=SEED, num_envs=NUM_ENVS, rollout_length=ROLLOUT_LENGTH, updates=UPDATES)
    emit("config_trace", learning_rate=LEARNING_RATE, gamma=GAMMA, gae_lambda=GAE_LAMBDA, clip_eps=CLIP_EPS,
         entropy_coef=ENTROPY_COEF, epochs=EPOCHS)
    rng = random.Random(SEED)
    envs, lengths = [reset(rng) for _ in range(NUM_ENVS)], [0] * NUM_ENVS
    actor, critic = [0.0] * 4, [0.0] * 11
    finished = deque(maxlen=WINDOW)  # a long episode outlasts a rollout, so statistics are over the last ones finished
    for update in range(UPDATES):
        started, rate = time.perf_counter(), LEARNING_RATE * (1 - update / UPDATES)
        batch = rollout(rng, envs, lengths, actor, critic, finished)
        mean = sum(row[4] for row in batch) / len(batch)
        std = math.sqrt(sum((row[4] - mean) ** 2 for row in batch) / len(batch)) + 1e-8
        for _ in range(EPOCHS):
            actor_grad, critic_grad, losses = gradients(batch, actor, critic, mean, std)
            actor = [w - rate * g for w, g in zip(actor, actor_grad)]
            critic = [w - rate * g for w, g in zip(critic, critic_grad)]
        stats = episode_stats(finished)
        norm, timesteps = math.hypot(*actor_grad, *critic_grad), (update + 1) * len(batch)
        speed = len(batch) / (time.perf_counter() - started)
        emit("update", category="TRAINER", policy_version=update + 1, **losses, global_grad_norm=norm)
        emit("rollout", category="ACTOR", timesteps=timesteps, **stats, phase="Training/Actor")
        emit("throughput", category="MISC", timesteps=timesteps, steps_per_second=speed, learning_rate=rate)
        if update % EVAL_EVERY == 0:
            emit("evaluation", category="EVALUATOR", phase="Evaluator", policy_version=update + 1,
                 episodes=EVAL_EPISODES, **evaluate(actor, SEED + update))
    print(f"mean return {stats['mean_return']:.0f} after {UPDATES} updates", file=sys.stderr)


if __name__ == "__main__":
    main()
