/* instruction.h: from the bytes of a tile instruction to its operands. */
#ifndef AMX_INSTRUCTION_H
#define AMX_INSTRUCTION_H

#include <stdint.h>
#include <string.h>

typedef enum {
  AMX_LDTILECFG,
  AMX_STTILECFG,
  AMX_TILERELEASE,
  AMX_TILEZERO,
  AMX_TILELOADD,
  AMX_TILELOADDT1,
  AMX_TILESTORED,
  AMX_TDPBF16PS,
  AMX_TDPBSSD,
  AMX_TDPBSUD,
  AMX_TDPBUSD,
  AMX_TDPBUUD,
  AMX_KINDS,
} amx_kind;

static const char *const amx_name[AMX_KINDS] = {"LDTILECFG",  "STTILECFG", "TILERELEASE", "TILEZERO", "TILELOADD", "TILELOADDT1",
                                                "TILESTORED", "TDPBF16PS", "TDPBSSD",     "TDPBSUD",  "TDPBUSD",   "TDPBUUD"};

enum { AMX_NO_REGISTER = -1, AMX_RIP = 16 };

/* tile: the first operand; left and right: the second and third one of a product. The address is base + index << scale +
 * displacement, where numbers of registers are those of the machine, or AMX_RIP, or AMX_NO_REGISTER. */
typedef struct {
  amx_kind kind;
  int tile, left, right, length;
  int base, index, scale, from_fs, is_32_bits;
  int32_t displacement;
} amx_instruction;

/* The mandatory prefix as VEX has it in its two lowest bits. */
enum { AMX_NP, AMX_66, AMX_F3, AMX_F2 };

/* The address of a ModRM byte with memory. Returns the number of bytes after it. */
static int amx_decode_address(amx_instruction *in, const uint8_t *modrm, int x, int b) {
  const int mod = *modrm >> 6;
  int at = 1;
  in->base = (*modrm & 7) | b << 3;
  if ((*modrm & 7) == 4) {
    const uint8_t sib = modrm[at++];
    const int index = (sib >> 3 & 7) | x << 3;
    in->scale = sib >> 6;
    in->index = index == 4 ? AMX_NO_REGISTER : index;
    in->base = (sib & 7) | b << 3;
    if ((sib & 7) == 5 && mod == 0) in->base = AMX_NO_REGISTER;
  } else if ((*modrm & 7) == 5 && mod == 0) {
    in->base = AMX_RIP;
  }
  if (mod == 1) {
    in->displacement = (int8_t)modrm[at];
    return at;
  }
  if (mod == 2 || in->base == AMX_NO_REGISTER || in->base == AMX_RIP) {
    memcpy(&in->displacement, modrm + at, 4);
    return at + 3;
  }
  return at - 1;
}

/* The kind of an instruction with opcode 49, which configures and zeroes; -1: none. */
static int amx_configuring(int prefix, int modrm) {
  const int is_register = modrm >> 6 == 3;
  if (prefix == AMX_NP && is_register) return modrm == 0xC0 ? AMX_TILERELEASE : -1;
  if (prefix == AMX_F2 && is_register) return (modrm & 7) == 0 ? AMX_TILEZERO : -1;
  if (is_register || modrm >> 3 & 7) return -1;
  return prefix == AMX_NP ? AMX_LDTILECFG : prefix == AMX_66 ? AMX_STTILECFG : -1;
}

/* Opcode 4B, which loads and stores: always with a SIB byte. */
static int amx_moving(int prefix, int modrm) {
  if (modrm >> 6 == 3 || (modrm & 7) != 4) return -1;
  return prefix == AMX_F2 ? AMX_TILELOADD : prefix == AMX_66 ? AMX_TILELOADDT1 : prefix == AMX_F3 ? AMX_TILESTORED : -1;
}

static int amx_multiplying(int opcode, int prefix, int modrm) {
  static const int bytes[] = {AMX_TDPBUUD, AMX_TDPBUSD, AMX_TDPBSUD, AMX_TDPBSSD};
  if (modrm >> 6 != 3) return -1;
  return opcode == 0x5E ? bytes[prefix] : prefix == AMX_F3 ? AMX_TDPBF16PS : -1;
}

/* Whether a tile instruction stands at `code`; then it is in *in. Its form is VEX.128.W0 in the map 0F38. */
static int amx_decode(amx_instruction *in, const uint8_t *code) {
  const uint8_t *at = code;
  memset(in, 0, sizeof *in);
  in->base = in->index = AMX_NO_REGISTER;
  for (;; at++) {
    if (*at == 0x64) in->from_fs = 1;
    else if (*at == 0x67) in->is_32_bits = 1;
    else if (*at != 0x2E && *at != 0x36 && *at != 0x3E && *at != 0x26) break;
  }
  if (at[0] != 0xC4 || (at[1] & 0x1F) != 2 || at[2] & 0x84) return 0;
  const int r = !(at[1] & 0x80), x = !(at[1] & 0x40), b = !(at[1] & 0x20), v = ~(at[2] >> 3) & 15, prefix = at[2] & 3;
  const int opcode = at[3], modrm = at[4];
  const int kind = opcode == 0x49                     ? amx_configuring(prefix, modrm)
                   : opcode == 0x4B                   ? amx_moving(prefix, modrm)
                   : opcode == 0x5C || opcode == 0x5E ? amx_multiplying(opcode, prefix, modrm)
                                                      : -1;
  if (kind < 0) return 0;
  in->kind = (amx_kind)kind;
  in->tile = (modrm >> 3 & 7) | r << 3;
  if (kind >= AMX_TDPBF16PS) {
    in->left = (modrm & 7) | b << 3;
    in->right = v;
  } else if (v) {
    return 0;
  }
  in->length = (int)(at - code) + 5;
  if (modrm >> 6 != 3) in->length += amx_decode_address(in, at + 4, x, b);
  return in->tile < 8 && in->left < 8 && in->right < 8;
}

#endif
