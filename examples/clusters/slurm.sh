#!/bin/bash
# A grid on the nodes of a Slurm job: sbatch examples/clusters/slurm.sh GRID [flags of harness/bench.py]
#
#   sbatch --nodes=4 --gpus-per-node=1 examples/clusters/slurm.sh report --gpus-per-trial 0.25 \
#     --results ~/results/report
#
# The first node runs Ray's head and the command, and trains too; every other node runs a worker. All of
# them see the project and the results at the same path. Everything stops with the job, and the same
# sbatch goes on from there.
#SBATCH --nodes=2 --ntasks-per-node=1 --exclusive
#SBATCH --signal=B:TERM@120
set -eu
cd "${SLURM_SUBMIT_DIR:-.}"
[ -d .venv ] && source .venv/bin/activate
export RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(openssl rand -hex 32)
export RAY_AUTH_TOKEN

# an address, since Ray waits for ever on a name that its own resolver does not know
head=$(hostname -I | cut -d " " -f 1)
ray start --head --node-ip-address="$head" --port=6379 --dashboard-host=127.0.0.1
trap 'ray stop' EXIT
others=$((SLURM_JOB_NUM_NODES - 1))
if [ "$others" -gt 0 ]; then
  srun --nodes="$others" --ntasks="$others" --exclude="$(hostname -s)" \
    ray start --address="$head:6379" --block &
fi
for _ in $(seq 150); do
  [ "$(ray status | grep -c ' node_')" = "$SLURM_JOB_NUM_NODES" ] && break
  sleep 2
done

# two minutes before the time limit Slurm sends SIGTERM: checkpoints are saved within seconds
python harness/bench.py "$@" --address auto &
bench=$!
trap 'kill -TERM $bench' TERM
status=0
wait $bench || status=$?
if kill -0 $bench 2>/dev/null; then # the signal ended the wait, not the command
  status=0
  wait $bench || status=$?
fi
exit $status
