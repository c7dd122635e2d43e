#!/bin/sh
# A real Slurm on one machine, for tests: `slurm.sh up FOLDER`, `slurm.sh down FOLDER`. Wants root and Debian's
# slurm-wlm and munge (`apt-get install slurm-wlm munge`). All that it writes lies in FOLDER; the daemons listen on
# loopback. `. FOLDER/env` points the commands of Slurm at it.
set -eu
what=$1 folder=$2
conf=$folder/slurm.conf
patience=${SLURM_TEST_PATIENCE:-20} # seconds until a daemon that says nothing is given up

up() {
    mkdir -p "$folder/state" "$folder/spool" "$folder/log" "$folder/munge"
    chmod 700 "$folder/munge"
    chmod 755 "$folder"
    dd if=/dev/urandom of="$folder/munge/key" bs=128 count=1 2>/dev/null
    chmod 600 "$folder/munge/key"
    munged --key-file "$folder/munge/key" --socket "$folder/munge/socket" --pid-file "$folder/munge/pid" \
        --log-file "$folder/munge/log" --seed-file "$folder/munge/seed" --force
    cpus=${SLURM_TEST_CPUS:-2}
    cat >"$conf" <<END
ClusterName=ivitest
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
SlurmctldPort=${SLURM_TEST_PORT:-16817}
SlurmdPort=$((${SLURM_TEST_PORT:-16817} + 1))
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld
SlurmdLogFile=$folder/log/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SlurmdTimeout=$patience
MessageTimeout=$((patience < 100 ? patience : 100))
MinJobAge=300
KillWait=2
InactiveLimit=0
MaxArraySize=10001
NodeName=node1 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
END
    echo "export SLURM_CONF=$conf" >"$folder/env"
    export SLURM_CONF="$conf"
    slurmctld -f "$conf" -c
    nice -n "${SLURM_TEST_NICE:-0}" slurmd -f "$conf" -N node1
    for _ in $(seq $((5 * patience))); do
        if sinfo -h -o %T 2>/dev/null | grep -q idle; then
            # A node that is idle may still be unable to begin a job, in a container for one.
            timeout $((3 * patience)) sbatch --quiet --wait --output "$folder/log/first" --wrap true && return 0
            break
        fi
        sleep 0.2
    done
    sinfo || true
    tail -n 5 "$folder/log/slurmctld" "$folder/log/slurmd" >&2
    exit 1
}

ours() { # every process that was started with this cluster's configuration
    for one in $(grep -lsF "$folder" /proc/[0-9]*/environ /proc/[0-9]*/cmdline | cut -d/ -f3 | sort -u); do
        case $(cat "/proc/$one/comm" 2>/dev/null) in slurmctld | slurmd | slurmstepd | slurmscriptd | munged) echo "$one" ;; esac
    done
}

down() {
    export SLURM_CONF="$conf"
    scancel -u "$(id -un)" 2>/dev/null || true
    for _ in $(seq 50); do
        left=$(squeue -h 2>/dev/null) || break # no controller any more
        [ -z "$left" ] && break
        sleep 0.2
    done
    for signal in TERM KILL; do
        for one in $(ours); do
            kill "-$signal" "$one" 2>/dev/null || true
        done
        for _ in $(seq 25); do
            [ -z "$(ours)" ] && break
            sleep 0.2
        done
    done
}

$what
