# What the real action asks of Git: the branch of the event at the commit of the event, or a commit on its own.
set -euo pipefail
cd "$GITHUB_WORKSPACE"
git init --quiet --initial-branch=unborn
git remote add origin "$GITHUB_SERVER_URL/$REPOSITORY"
header="AUTHORIZATION: basic $(printf 'x-access-token:%s' "$TOKEN" | base64 --wrap=0)"
fetch() { git -c "http.$GITHUB_SERVER_URL/.extraheader=$header" fetch --quiet --no-tags "$@"; }

ref=${WANTED:-$GITHUB_REF}
commit=
[ -n "$WANTED" ] || commit=$GITHUB_SHA
if [[ "$ref" =~ ^[0-9a-f]{40}$ ]]; then commit=$ref ref=; fi

if [ "$DEPTH" = 0 ]; then
  fetch origin '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*'
  depth=()
else
  depth=("--depth=$DEPTH")
fi
case "$ref" in
  '') git cat-file -e "$commit^{commit}" 2> /dev/null || fetch "${depth[@]}" origin "$commit"
      git checkout --quiet --force --detach "$commit" ;;
  refs/heads/*) branch=${ref#refs/heads/}
      fetch "${depth[@]}" origin "+${commit:-$ref}:refs/remotes/origin/$branch"
      git checkout --quiet --force -B "$branch" "refs/remotes/origin/$branch" ;;
  refs/tags/*)
      fetch "${depth[@]}" origin "+$ref:$ref"
      git checkout --quiet --force --detach "$ref" ;;
  refs/pull/*) here=refs/remotes/pull/${ref#refs/pull/}
      fetch "${depth[@]}" origin "+${commit:-$ref}:$here"
      git checkout --quiet --force --detach "$here" ;;
  *) fetch "${depth[@]}" origin "+refs/heads/$ref:refs/remotes/origin/$ref"
      git checkout --quiet --force -B "$ref" "refs/remotes/origin/$ref" ;;
esac
if [ "$PERSIST" = true ]; then git config "http.$GITHUB_SERVER_URL/.extraheader" "$header"; fi
git log -1 --format='%H %s'
