#!/usr/bin/env bash
#SBATCH --job-name=surefoot
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=01:00:00
#
# A tuning job on the nodes of a batch job of Slurm:
#
#   sbatch deploy/slurm.sh job.toml
#   sbatch deploy/slurm.sh --resume ID      # what ran out of time goes on
#
# Ray starts on every node, surefoot runs on the first and has all of them, and Ray ends with it
# (ray symmetric-run). Submit from a folder that all nodes see: the study is kept in it, under
# SUREFOOT_HOME, and modules beside the job file are imported from it. When the time is over nothing
# that was trained is lost.
#
# No Slurm was at hand when this was written: tests/deploy/test_slurm.py runs it with stand-ins for
# scontrol, srun and ray, and `surefoot run --workers cluster` on a real Ray cluster.
set -euo pipefail

if [ "${1:-}" = --resume ]; then
    command=(surefoot resume "${2:?which job?}" --workers cluster)
else
    command=(surefoot run "${1:?which job file?}" --workers cluster)
fi

export SUREFOOT_HOME=${SUREFOOT_HOME:-$PWD/surefoot-data}
# Other people have processes on these nodes: Ray takes orders from nobody without this token.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$SUREFOOT_HOME/ray-token-$SLURM_JOB_ID
export RAY_USAGE_STATS_ENABLED=0
mkdir -p "$SUREFOOT_HOME"
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT
(umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH")

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun ray symmetric-run --address "$head:6379" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus "$SLURM_CPUS_PER_TASK" -- "${command[@]}"
