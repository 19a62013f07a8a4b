"""Print the page, or write it to the file named."""

import sys

from lsm_perception.interface_reference import documentation
from lsm_perception.printed_page import print_page

if __name__ == "__main__":
    sys.exit(print_page(documentation()))
