#!/usr/bin/env bash
# Fetches the data sets from Kaggle into datasets/ beside this file, once each, with Kaggle's own client.
#
#   ./download_datasets.sh             fetch all that are not there yet
#   ./download_datasets.sh NAME...     fetch only these
#   ./download_datasets.sh --list      say which there are, and which are here
#
# ZKYNET_DATASETS=/path/to/folder puts them elsewhere. What is missing (the client, credentials, a competition's rules
# to be accepted) is said, and the other sets are fetched all the same; the status is 0 where all that was asked for is
# there in the end, 1 where something is not, 2 for a name that does not exist.

set -u

here="$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)" || exit 1
folder="${ZKYNET_DATASETS:-$here/datasets}"
names="bostonhousing mnist mnist_sign_language emotionalspeech feedbackprize"

say() { printf '%s\n' "$*"; }
complain() { printf '%s\n' "$*" >&2; }

# Sets for the data set $1: `kind` and `source`, Kaggle's names; `proof`, a file or folder that it has when it is whole;
# `title`. Status 1 where there is no such set.
describe() {
    case "$1" in
    bostonhousing)
        kind=datasets source=schirmerchad/bostonhoustingmlnd proof=housing.csv
        title="Boston housing: prices of houses, a small table"
        ;;
    mnist)
        kind=competitions source=digit-recognizer proof=train.csv
        title="MNIST as CSV, the competition Digit Recognizer: handwritten digits"
        ;;
    mnist_sign_language)
        kind=datasets source=datamunge/sign-language-mnist proof=sign_mnist_train.csv
        title="Sign Language MNIST: hands that show letters"
        ;;
    emotionalspeech)
        kind=datasets source=uwrfkaggler/ravdess-emotional-speech-audio proof=Actor_01
        title="RAVDESS: emotional speech, audio"
        ;;
    feedbackprize)
        kind=competitions source=feedback-prize-2021 proof=train.csv
        title="The competition Feedback Prize: essays of students"
        ;;
    *) return 1 ;;
    esac
}

is_here() { [ -e "$folder/$1/$proof" ]; }

# Whether there is something that the client can log in with. Where it looks is its own rule, versions 1 and 2.
has_credentials() {
    local file config="${KAGGLE_CONFIG_DIR:-}" home="${HOME:-}"
    [ -n "${KAGGLE_API_TOKEN:-}" ] && return 0
    [ -n "${KAGGLE_USERNAME:-}" ] && [ -n "${KAGGLE_KEY:-}" ] && return 0
    [ -n "$config" ] && [ -s "$config/kaggle.json" ] && return 0
    for file in kaggle.json access_token access_token.txt credentials.json; do
        [ -s "$home/.kaggle/$file" ] && return 0
    done
    [ -s "${XDG_CONFIG_HOME:-$home/.config}/kaggle/kaggle.json" ]
}

# Says what stands in the way of fetching anything; status 1 where something does.
check_tools() {
    local missing=0
    if ! command -v kaggle >/dev/null 2>&1; then
        complain "Kaggle's client is missing: there is no command \`kaggle\`."
        complain "  to install it: pip install kaggle"
        missing=1
    fi
    if ! has_credentials; then
        complain "Kaggle's credentials are missing."
        complain "  to get them: log in on kaggle.com, Settings, API, create a token, and save it as it says there,"
        complain "  as ~/.kaggle/kaggle.json or ~/.kaggle/access_token; or set KAGGLE_USERNAME and KAGGLE_KEY"
        missing=1
    fi
    if ! command -v unzip >/dev/null 2>&1 && ! command -v python3 >/dev/null 2>&1; then
        complain "There is neither \`unzip\` nor \`python3\` to unpack with. Install one of them."
        missing=1
    fi
    return "$missing"
}

unpack() {
    if command -v unzip >/dev/null 2>&1; then
        unzip -q -o "$1" -d "$2"
        [ $? -le 1 ] # 1: done, with a warning
    else
        python3 -m zipfile -e "$1" "$2"
    fi
}

# Fetches $1 into the folder $2 and unpacks it there; status 1 and a line that says why where it does not work.
fetch_into() {
    local archive
    # Without credentials that it takes, the client may ask for some: it must not wait for an answer.
    if ! kaggle "$kind" download "$source" -p "$2" </dev/null; then
        complain "$1: the client could not download $source; see above."
        if [ "$kind" = competitions ]; then
            complain "  Kaggle gives a competition's data to those who accepted its rules, on"
            complain "  kaggle.com/competitions/$source/rules"
        fi
        return 1
    fi
    for archive in "$2"/*.zip; do
        [ -e "$archive" ] || continue # no archive: the pattern itself
        if ! unpack "$archive" "$2"; then
            complain "$1: what was downloaded cannot be unpacked: ${archive##*/}"
            return 1
        fi
        rm -f -- "$archive"
    done
    if [ ! -e "$2/$proof" ]; then
        complain "$1: $source was downloaded, but has no $proof. It is not what it was, and is not kept."
        return 1
    fi
}

# Makes the folder of the data set $1, whole or not at all.
fetch() {
    local part="$folder/.$1.part"
    if [ -e "$folder/$1" ]; then
        complain "$1: $folder/$1 exists, but has no $proof. Look at it, and remove it to fetch it again."
        return 1
    fi
    say "$1: downloading. $title"
    rm -rf -- "$part"
    mkdir -p -- "$part" || return 1
    if ! fetch_into "$1" "$part" || ! mv -- "$part" "$folder/$1"; then
        rm -rf -- "$part"
        return 1
    fi
    say "$1: in $folder/$1"
}

list() {
    local name
    for name in $names; do
        describe "$name"
        if is_here "$name"; then say "here     $name: $title"; else say "not here $name: $title"; fi
    done
}

main() {
    local name wanted="" failed="" checked=""
    case "${1:-}" in
    -h | --help)
        sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
        return 0
        ;;
    --list)
        list
        return 0
        ;;
    esac
    for name in "$@"; do
        if ! describe "$name"; then
            complain "There is no data set \`$name\`. There are: $names"
            return 2
        fi
    done
    if [ $# -eq 0 ]; then wanted="$names"; else wanted="$*"; fi
    for name in $wanted; do
        describe "$name"
        if is_here "$name"; then
            say "$name: here already"
            continue
        fi
        if [ -z "$checked" ]; then
            if check_tools; then checked=yes; else checked=no; fi
        fi
        if [ "$checked" = no ] || ! fetch "$name"; then failed="$failed $name"; fi
    done
    if [ -n "$failed" ]; then
        complain "Not here:$failed"
        complain "Run this again when that is mended: what is here is not fetched again."
        return 1
    fi
}

# After Ctrl-C nothing half downloaded stays.
trap 'rm -rf -- "$folder"/.*.part; exit 130' INT TERM

main "$@"
