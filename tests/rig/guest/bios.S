/* SPDX-License-Identifier: MIT */
/*
 * A whole guest in 64 KiB: takes the BIOS's place (qemu -bios), says hello on the first serial line,
 * counts for a moment, says good bye and leaves. Starts and ends within 0.1 s natively, where a Linux
 * takes three.
 *
 * It leaves through isa-debug-exit (iobase=0xf4), if the machine has one: the hypervisor's status is then
 * 33. Else it resets the machine, which ends a hypervisor with -no-reboot with 0. With -DSPIN it stays and
 * keeps its processor busy; with -DWAIT it does so until a byte comes in on the serial line.
 */
        .code16
        .section .text, "ax"

#define COM1 0x3f8
#define COM1_STATUS 0x3fd
#define DATA_READY 1
#define DEBUG_EXIT 0xf4
#define KEYBOARD 0x64
#define RESET 0xfe
#define ROUNDS 2000

/* The processor starts 16 bytes below the end of the image, with CS = F000. */
start:
        cli
        cld
        mov $0xf000, %ax
        mov %ax, %ds
        mov $hello, %si
        call print

        mov $ROUNDS, %bx
work:
        mov $0xffff, %cx
1:      loop 1b
#if defined(SPIN)
        jmp work
#elif defined(WAIT)
        mov $COM1_STATUS, %dx
        in %dx, %al
        test $DATA_READY, %al
        jz work
#else
        dec %bx
        jnz work
#endif
        mov $bye, %si
        call print

        mov $0x10, %al
        out %al, $DEBUG_EXIT
        mov $RESET, %al
        out %al, $KEYBOARD
stop:
        hlt
        jmp stop

/* Prints the text at DS:SI; QEMU's serial line is never full. */
print:
        mov $COM1, %dx
1:      lodsb
        test %al, %al
        jz 2f
        out %al, %dx
        jmp 1b
2:      ret

hello:  .asciz "Hello from a guest of 64 KiB.\r\n"
bye:    .asciz "Done. Good bye.\r\n"

        .org 0xfff0
        ljmp $0xf000, $start
        .org 0x10000
