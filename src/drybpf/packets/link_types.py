"""Names of the link types that captures commonly have; the numbers are the registry of tcpdump.org.

Any other number is as valid, it just has no name here.
"""

from __future__ import annotations

ETHERNET = 1

_NAMES = {
    0: "NULL",
    ETHERNET: "ETHERNET",
    6: "IEEE802_5",
    8: "SLIP",
    9: "PPP",
    10: "FDDI",
    50: "PPP_HDLC",
    51: "PPP_ETHER",
    100: "ATM_RFC1483",
    101: "RAW",
    104: "C_HDLC",
    105: "IEEE802_11",
    107: "FRELAY",
    108: "LOOP",
    113: "LINUX_SLL",
    117: "PFLOG",
    127: "IEEE802_11_RADIOTAP",
    147: "USER0",
    187: "BLUETOOTH_HCI_H4",
    189: "USB_LINUX",
    192: "PPI",
    195: "IEEE802_15_4_WITHFCS",
    220: "USB_LINUX_MMAPPED",
    227: "CAN_SOCKETCAN",
    228: "IPV4",
    229: "IPV6",
    239: "NFLOG",
    240: "NETANALYZER",
    249: "USBPCAP",
    252: "WIRESHARK_UPPER_PDU",
    253: "NETLINK",
    276: "LINUX_SLL2",
    281: "DSA_TAG_BRCM",
}


def link_type_name(link_type: int) -> str:
    """`ETHERNET (1)`, or `(4242)` for a number without a name here."""
    return f"{_NAMES.get(link_type, '')} ({link_type})".lstrip()
