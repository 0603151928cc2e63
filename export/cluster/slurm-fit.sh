#!/bin/bash
# A network trained on several machines, a process on each with all of its GPUs:
#   sbatch slurm-fit.sh /shared/photographs.tar /shared/runs/unet
# A training that was cut short goes on by the same command.
#SBATCH --job-name=kcolor-fit
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --output=kcolor-fit-%j.out
set -eu

data=$1
run=$2
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export KERAS_BACKEND=jax
export KERAS_DISTRIBUTION_JOB_ADDRESSES="$first:$((20000 + SLURM_JOB_ID % 20000))"
export KERAS_DISTRIBUTION_NUM_PROCESSES="$SLURM_NTASKS"
# Looked up once, so that all processes are told the same.
resume=
[ ! -e "$run/config.json" ] || resume=--resume

# The batch is that of all GPUs together.
# shellcheck disable=SC2016  # the number is each task's own
exec srun --kill-on-bad-exit=1 \
    bash -c 'KERAS_DISTRIBUTION_PROCESS_ID=$SLURM_PROCID exec kcolor "$@"' kcolor \
    fit unet -o "$run" --data "$data" --epochs 30 --batch-size 256 $resume
