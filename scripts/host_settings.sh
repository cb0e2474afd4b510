# shellcheck shell=bash
# Sourced by fresh-check and image-check: how this host reaches packages, read from apt's and pip's own settings, so that
# no file of the project names a mirror.

# "URI SUITE" of every Debian archive that apt here uses for bookworm.
# shellcheck disable=SC2016  # apt expands the format
archives() {
  apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
    awk '$2 ~ /^bookworm/ && !seen[$0]++'
}

# Effect: the Debian root that is its argument reaches packages and names as this host does.
copy_host_settings() {
  local root=$1 file
  archives | awk '{print "deb " $1 " " $2 " main"}' >"$root/etc/apt/sources.list"
  apt-config dump | grep '^Acquire::' | grep -v '^Acquire::\(IndexTargets\|Languages\|CompressionTypes\|Changelogs\)' \
    >"$root/etc/apt/apt.conf.d/90host" || true
  cp --dereference /etc/resolv.conf /etc/hosts "$root/etc/"
  mkdir -p "$root/usr/local/share/ca-certificates"
  for file in /usr/local/share/ca-certificates/*.crt; do
    [ -f "$file" ] && cp "$file" "$root/usr/local/share/ca-certificates/"
  done
  for file in /etc/pip.conf "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf"; do
    [ -f "$file" ] && cat "$file" >>"$root/etc/pip.conf"
  done
  return 0
}

# The environment variables that pip and proxies are set with, one name a line.
host_setting_names() {
  # PIP_FIND_LINKS is a folder of this host.
  compgen -e | grep -E '^(PIP_.*|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY)$' |
    grep -v '^PIP_FIND_LINKS$' || true
}
