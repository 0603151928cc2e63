#!/bin/bash
# A folder on shared storage, colorized by a Slurm job array:
#   sbatch slurm.sh /shared/scans /shared/scans-color
# An array that was cut short is started again by the same command.
#SBATCH --job-name=kcolor
#SBATCH --array=0-63
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=1G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --output=kcolor-%A-%a.out
set -eu

scans=$1
results=$2
mkdir -p "$results-logs"
# --array counts from 0, as --shard does; SLURM_ARRAY_TASK_COUNT follows from it. An array
# that holds some of the indices only, such as --array=3,7, needs the count of the whole.
shards=${KCOLOR_SHARDS:-$SLURM_ARRAY_TASK_COUNT}

exec srun kcolor colorize "$scans" -o "$results" --skip-existing \
    --jobs "$SLURM_CPUS_PER_TASK" \
    --shard "$SLURM_ARRAY_TASK_ID/$shards" \
    --log "$results-logs/$SLURM_ARRAY_TASK_ID.jsonl"
