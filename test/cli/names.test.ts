import { describe, expect, it } from 'vitest'
import { defaultName } from '../../src/cli/start.ts'

const name = (command: string, directory = '/home/me/walker'): string =>
  defaultName(command.split(' ').filter(Boolean), directory, new Date(2026, 0, 2, 3, 4, 5))

describe('a run that nobody has named', () => {
  it.each([
    ['python train.py --lr 3e-4', 'train'],
    ['torchrun --nproc-per-node 2 src/ppo/train.py', 'train'],
    ['python3.12 -m ppo.train --seed 1', 'ppo.train'],
    ['./target/release/walker --steps 10', 'walker'],
    ['cargo run --release', 'walker'],
    ['cargo run --bin ppo -- --seed 1', 'ppo'],
    ['cargo run --example cartpole', 'cartpole'],
    ['mytool -m model.bin', 'mytool'],
    ['', 'walker 2026-01-02 03.04.05'],
  ])('by `%s` is called %s', (command, expected) => {
    expect(name(command)).toBe(expected)
  })

  it('in the root directory is called after the program, or after the time', () => {
    expect([name('cargo run', '/'), name('', '/')]).toEqual(['cargo', 'run 2026-01-02 03.04.05'])
  })
})
