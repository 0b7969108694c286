/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest.h"
#include "links.h"
#include "unit.h"

#define INITRD "/run/guest.cpio"

static bool has_kvm(void) {
        return access("/dev/kvm", R_OK | W_OK) == 0;
}

const char *guest_accel(void) {
        if (!has_kvm())
                sh("export PATH=$PATH:/sbin:/usr/sbin; modprobe -q kvm-amd || modprobe -q "
                   "kvm-intel || true");
        if (has_kvm())
                return "kvm";
        if (!getenv("PROVIUM_FLOWS"))
                unit_skip("no KVM here: a guest that is emulated twice takes minutes; "
                          "PROVIUM_FLOWS=1");
        unit_note("no KVM here: the guest is emulated twice, and slow");
        return "tcg,tb-size=64";
}

const char *guest_kernel(char *path, size_t size) {
        const char *cache = getenv("PROVIUM_CACHE"), *home = getenv("HOME");

        if (cache)
                snprintf(path, size, "%s/rig/kernel/vmlinux", cache);
        else
                snprintf(path, size, "%s/.cache/provium/rig/kernel/vmlinux", home ?: "/root");
        if (access(path, R_OK) < 0)
                unit_skip("there is no kernel at %s", path);
        return path;
}

const char *guest_pack(const char *program, const char *modules) {
        sh("set -e; export PATH=$PATH:/sbin:/usr/sbin; d=/run/guest; rm -rf $d $d.list;"
           "mkdir -p $d/m $d/dev $d/proc; cp $PROVIUM_HELPERS/%s $d/init;"
           "mknod $d/dev/console c 5 1;"
           "for m in %s; do modprobe --show-depends $m >>$d.list; done;"
           "awk '$1 == \"insmod\" && !seen[$2]++ { print $2 }' $d.list |"
           "{ i=0; while read -r p; do cp $p $d/m/$(printf %%02d $i); i=$((i + 1)); done; };"
           "cd $d && find . | cpio -o -H newc --quiet >" INITRD,
           program, modules);
        return INITRD;
}

int guest_serve(unsigned port) {
        struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

        need(fd >= 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        need_int(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
        need_int(listen(fd, 2), 0);
        return fd;
}
