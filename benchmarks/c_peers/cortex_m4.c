/* Calls the entry CALLS times on a Cortex-M4, for QEMU's machine mps2-an386. Two runs with different CALLS differ by the instructions
 * of calls alone. */
void entry(const float *x, float *y);
int main(void);
void reset(void);

static float x[64], y[64];

__attribute__((section(".vectors"), used)) static const void *const vectors[2] = {(const void *)0x20080000, (const void *)reset};

int main(void)
{
    for (int i = 0; i < 64; i++) x[i] = (float)(i % 5) / 3 - 0.5f;
    for (int i = 0; i < CALLS; i++) entry(x, y);
    return 0;
}

void reset(void)
{
    *(volatile unsigned *)0xE000ED88 |= 0xFu << 20; /* access to the floating-point unit */
    __asm__ volatile("dsb\n isb");
    main();
    register int operation __asm__("r0") = 0x18; /* SYS_EXIT */
    register int reason __asm__("r1") = 0x20026; /* ADP_Stopped_ApplicationExit */
    __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(reason) : "memory");
    for (;;) {
    }
}
